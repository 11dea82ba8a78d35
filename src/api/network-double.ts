/** For tests only: the one network of the engine double. */
import { zeroTime } from "#spec/container.ts";
import type { NetworkRecord } from "#spec/network.ts";

export const bridgeNetwork: NetworkRecord = {
  id: "n".repeat(64),
  name: "bridge",
  driver: "bridge",
  created: zeroTime,
  ipv4: true,
  ipv6: false,
  internal: false,
  attachable: false,
  configOnly: false,
  configFrom: "",
  ipam: { driver: "default", options: null, config: [] },
  options: {},
  labels: {},
  pools: [{ subnet: "172.17.0.0/16", gateway: "172.17.0.1", auxiliary: {} }],
  device: "wh0",
  ownsDevice: true,
};
