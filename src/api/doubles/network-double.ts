/** For tests only: the engine double's networks, of which there is one. */

import type { EngineNetworks } from "#api/engine-face.ts";
import { zeroTime } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { NetworkRecord, Sandbox } from "#spec/network.ts";

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

/** What it needs of the engine double. */
export interface NetworksDoubleHost {
  readonly asked: unknown[][];
  readonly sandboxes: Readonly<Record<string, Sandbox>>;
  /** @throws Fault `not-found`. */
  find(reference: string): { readonly name: string };
}

export function networksDouble(engine: NetworksDoubleHost): EngineNetworks {
  return {
    list: () => [bridgeNetwork],
    get: (ref) => {
      if (ref !== "bridge") throw new Fault("not-found", `network ${ref} not found`);
      return bridgeNetwork;
    },
    members: (networkId) =>
      Object.entries(engine.sandboxes).flatMap(([containerId, { endpoints }]) =>
        endpoints
          .filter((endpoint) => endpoint.networkId === networkId)
          .map((endpoint) => ({ containerId, name: engine.find(containerId).name, endpoint })),
      ),
    create: async (request) => {
      engine.asked.push(["network create", request]);
      return { id: "m".repeat(64), warning: "" };
    },
    remove: async (ref) => void engine.asked.push(["network remove", ref]),
    prune: async (wanted) => (wanted(bridgeNetwork) ? ["bridge"] : []),
    connect: async (...args) => void engine.asked.push(["connect", ...args]),
    disconnect: async (...args) => void engine.asked.push(["disconnect", ...args]),
    warnings: () => [],
    publish: async (...args) => void engine.asked.push(["publish", ...args]),
    audit: async ({ probe }) => {
      const row = {
        from: "outside",
        to: "container one",
        address: "0.0.0.0:80/tcp",
        verdict: "open",
        why: "published",
      } as const;
      return { firewall: "strict", rows: [probe ? { ...row, probe: "not tried" } : row] };
    },
    trace: async (container, { name, type }) => {
      engine.find(container);
      const step = { asked: name, source: "cache", outcome: "NOERROR", answers: ["10.0.0.1"] };
      return { name, type, steps: [step], addresses: ["10.0.0.1"] };
    },
  };
}
