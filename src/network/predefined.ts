/** The networks every engine has: the default bridge, the host's own, and none. */
import { randomBytes } from "node:crypto";
import { type Family, familyOf, formatSubnet, networkOf, parseSubnet } from "#spec/ip.ts";
import type { NetworkPool, NetworkRecord } from "#spec/network.ts";
import { defaultBridgeOptions } from "./bridge-driver.ts";
import { type AddressPool, chooseSubnet, firstAddress, type UsedBy } from "./ipam.ts";
import type { NetworkTable } from "./network-table.ts";

export const defaultNetwork = "bridge";

export interface PredefinedInput {
  readonly device: string;
  /** `10.1.0.1/24`: address and subnet of the bridge. */
  readonly bip: string | undefined;
  /** IPv6 too, in this subnet or one of the pools'. */
  readonly ipv6?: { readonly subnet?: string | undefined } | undefined;
  readonly pools: readonly AddressPool[];
  /** What the host has routes into; looked at only when a subnet is chosen. */
  readonly used: () => readonly UsedBy[];
  readonly created: string;
}

/** Decides those that are not there yet, and the bridge anew when another `bip` is asked for. @throws Fault `invalid`. */
export function decidePredefined(networks: NetworkTable, o: PredefinedInput): void {
  for (const [name, driver] of [
    ["host", "host"],
    ["none", "null"],
  ] as const)
    if (networks.named(name) === undefined) networks.put({ ...blank(o), name, driver });
  const bridge = networks.named(defaultNetwork);
  const before = (family: Family) => bridge?.pools.find(({ subnet }) => familyOf(subnet) === family);
  const ipv4 = decidePool(before(4), o.bip, 4, o);
  const ipv6 = o.ipv6 === undefined ? undefined : decidePool(before(6), o.ipv6.subnet, 6, o);
  const pools = ipv6 === undefined ? [ipv4] : [ipv4, ipv6];
  if (bridge !== undefined && before(4) === ipv4) {
    if (before(6) !== ipv6) networks.put({ ...bridge, pools, ipv6: ipv6 !== undefined });
    return;
  }
  if (bridge !== undefined) networks.delete(bridge);
  networks.put({
    ...blank(o),
    name: defaultNetwork,
    driver: "bridge",
    ipv6: ipv6 !== undefined,
    pools,
    options: defaultBridgeOptions(o.device),
    device: o.device,
    ownsDevice: true,
  });
}

/** The one there is, unless another is asked for: `asked` is a subnet, or the gateway's address with one. */
function decidePool(
  before: NetworkPool | undefined,
  asked: string | undefined,
  family: Family,
  o: PredefinedInput,
): NetworkPool {
  const wanted = asked === undefined ? undefined : parseSubnet(asked);
  const subnet = wanted === undefined ? undefined : networkOf(wanted);
  const gateway = wanted === undefined || subnet?.address === wanted.address ? undefined : wanted.address;
  const stays =
    before !== undefined &&
    (subnet === undefined || before.subnet === formatSubnet(subnet)) &&
    (gateway === undefined || before.gateway === gateway);
  if (stays) return before;
  const chosen = subnet ?? chooseSubnet(o.used(), o.pools, family);
  return { subnet: formatSubnet(chosen), gateway: gateway ?? firstAddress(chosen), auxiliary: {} };
}

function blank({ created }: PredefinedInput): Omit<NetworkRecord, "name" | "driver"> {
  return {
    id: randomBytes(32).toString("hex"),
    created,
    ipv4: true,
    ipv6: false,
    internal: false,
    attachable: false,
    configOnly: false,
    configFrom: "",
    ipam: { driver: "default", options: null, config: [] },
    options: {},
    labels: {},
    pools: [],
    device: "",
    ownsDevice: false,
  };
}
