/** The networks every engine has: the default bridge, the host's own, and none. */
import { randomBytes } from "node:crypto";
import type { NetworkRecord } from "#spec/network.ts";
import { defaultBridgeOptions } from "./bridge-driver.ts";
import {
  type AddressPool,
  chooseSubnet,
  firstAddress,
  formatSubnet,
  networkOf,
  parseSubnet,
  type UsedBy,
} from "./ipam.ts";
import type { NetworkTable } from "./network-table.ts";

export const defaultNetwork = "bridge";

export interface PredefinedInput {
  readonly device: string;
  /** `10.1.0.1/24`: address and subnet of the bridge. */
  readonly bip: string | undefined;
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
  const wanted = o.bip === undefined ? undefined : parseSubnet(o.bip);
  const [pool] = bridge?.pools ?? [];
  if (bridge !== undefined && (wanted === undefined || pool?.gateway === wanted.address)) return;
  const subnet = networkOf(wanted ?? chooseSubnet(o.used(), o.pools));
  const gateway = wanted?.address ?? firstAddress(subnet);
  if (bridge !== undefined) networks.delete(bridge);
  networks.put({
    ...blank(o),
    name: defaultNetwork,
    driver: "bridge",
    pools: [{ subnet: formatSubnet(subnet), gateway, auxiliary: {} }],
    options: defaultBridgeOptions(o.device),
    device: o.device,
    ownsDevice: true,
  });
}

function blank({ created }: PredefinedInput): Omit<NetworkRecord, "name" | "driver"> {
  return {
    id: randomBytes(32).toString("hex"),
    created,
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
