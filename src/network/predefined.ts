/** The networks every engine has: the default bridge, the host's own, and none. */
import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { Fault } from "#spec/fault.ts";
import {
  contains,
  type Family,
  familyOf,
  formatSubnet,
  networkOf,
  parseSubnet,
  type Subnet,
  widthOf,
} from "#spec/ip.ts";
import type { NetworkPool, NetworkRecord } from "#spec/network.ts";
import { defaultBridgeOptions } from "./drivers/bridge-driver.ts";
import { type AddressPool, chooseSubnet, firstAddress, type UsedBy } from "./records/ipam.ts";
import { wayOutName } from "./records/leases.ts";
import type { NetworkTable } from "./records/network-table.ts";

export const defaultNetwork = "bridge";

/** What the default bridge shall be like, where not as usual. */
export interface DefaultBridge {
  readonly ipv4: PoolWish;
  /** Undefined: no IPv6. */
  readonly ipv6?: PoolWish | undefined;
  /** As those of any network carried by a bridge. */
  readonly options: Readonly<Record<string, string>>;
}

export interface PoolWish {
  /** `10.1.0.1/24`: address and subnet of the bridge; `10.1.0.0/24` for its first one. */
  readonly subnet?: string | undefined;
  /** Of containers' addresses, within the subnet; by itself it is the subnet. */
  readonly range?: string | undefined;
  /** The containers' way out, in place of the bridge's own address. */
  readonly gateway?: string | undefined;
}

export interface PredefinedInput {
  readonly device: string;
  readonly wish: DefaultBridge;
  readonly pools: readonly AddressPool[];
  /** What the host has routes into; looked at only when a subnet is chosen. */
  readonly used: () => readonly UsedBy[];
  readonly created: string;
}

/**
 * Decides those that are not there yet, and the bridge as it is wished for: another one where its subnet or address changes.
 * @throws Fault `invalid` for a wish that cannot be.
 */
export function decidePredefined(networks: NetworkTable, o: PredefinedInput): void {
  for (const [name, driver] of [
    ["host", "host"],
    ["none", "null"],
  ] as const)
    if (networks.named(name) === undefined) networks.put({ ...blank(o), name, driver });
  const bridge = networks.named(defaultNetwork);
  const before = (family: Family) => bridge?.pools.find(({ subnet }) => familyOf(subnet) === family);
  const ipv4 = decidePool(before(4), o.wish.ipv4, 4, o);
  const ipv6 = o.wish.ipv6 === undefined ? undefined : decidePool(before(6), o.wish.ipv6, 6, o);
  const decided = {
    pools: ipv6 === undefined ? [ipv4] : [ipv4, ipv6],
    ipv6: ipv6 !== undefined,
    options: { ...defaultBridgeOptions(o.device), ...o.wish.options },
  };
  const stays =
    bridge !== undefined && before(4)?.subnet === ipv4.subnet && before(4)?.gateway === ipv4.gateway;
  if (stays) {
    if (!isDeepStrictEqual({ ...bridge, ...decided }, bridge)) networks.put({ ...bridge, ...decided });
    return;
  }
  if (bridge !== undefined) networks.delete(bridge);
  const { device } = o;
  networks.put({ ...blank(o), ...decided, name: defaultNetwork, driver: "bridge", device, ownsDevice: true });
}

/** In the subnet there is, unless another is asked for. */
function decidePool(
  before: NetworkPool | undefined,
  wish: PoolWish,
  family: Family,
  o: PredefinedInput,
): NetworkPool {
  const asked = wish.subnet ?? wish.range;
  const wanted = asked === undefined ? undefined : parseSubnet(asked);
  const subnet =
    wanted === undefined
      ? before === undefined
        ? chooseSubnet(o.used(), o.pools, family)
        : parseSubnet(before.subnet)
      : networkOf(wanted);
  const own = wanted === undefined || subnet.address === wanted.address ? undefined : wanted.address;
  const kept = before?.subnet === formatSubnet(subnet) ? before.gateway : firstAddress(subnet);
  const range = wish.subnet === undefined ? undefined : wish.range;
  for (const part of [range, wish.gateway]) checkWithin(subnet, part);
  const gateway = own ?? kept;
  if (gateway === wish.gateway)
    throw new Fault(
      "invalid",
      `the gateway ${gateway} of the default bridge cannot be its own address: give it another with --bip${family === 6 ? "6" : ""}`,
    );
  return {
    subnet: formatSubnet(subnet),
    ...(range !== undefined && { range }),
    gateway,
    auxiliary: wish.gateway === undefined ? {} : { [wayOutName[family]]: wish.gateway },
  };
}

/** `part` is an address, or a subnet. @throws Fault `invalid`. */
function checkWithin(subnet: Subnet, part: string | undefined): void {
  if (part === undefined) return;
  const isRange = part.includes("/");
  const [address, length] = isRange
    ? [parseSubnet(part).address, parseSubnet(part).prefixLength]
    : [part, widthOf(familyOf(part))];
  if (!contains(subnet, address) || length < subnet.prefixLength)
    throw new Fault(
      "invalid",
      `the ${isRange ? "range" : "gateway"} ${part} of the default bridge is outside of its subnet ${formatSubnet(subnet)}: give it one that holds it with --bip${familyOf(address) === 6 ? "6" : ""}`,
    );
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
