/** Networks: records against bridges, namespaces, interfaces and rules. Looks at a moment in which nothing changes. */
import { existsSync } from "node:fs";
import { listLinks } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import type { Finding } from "#spec/check.ts";
import type { NetworkRecord } from "#spec/network.ts";
import type { NetworkDriver } from "./drivers/driver.ts";
import type { Firewall } from "./firewall/firewall.ts";
import type { Namespaces } from "./links/namespaces.ts";
import type { SandboxRecord, SandboxTable } from "./records/sandbox-table.ts";

export interface NetworkCheckParts {
  readonly networks: () => readonly NetworkRecord[];
  readonly sandboxes: SandboxTable;
  readonly namespaces: Namespaces;
  readonly firewall: Firewall;
  readonly driver: (name: string) => NetworkDriver;
  readonly detach: (containerId: string) => void;
  readonly isKnown: (containerId: string) => boolean;
  /** False while a container starts. */
  readonly isPlugged: (sandbox: SandboxRecord) => boolean;
  readonly looked: () => void;
}

/** The kernel takes the interfaces of a dead namespace away in its own time. */
const goingMs = 5_000;
const againMs = 100;

export async function* checkNetworks(o: NetworkCheckParts): AsyncGenerator<Finding> {
  yield* [...bridges(o), ...ofContainers(o), ...namespaces(o), ...rules(o)];
  const end = performance.now() + goingMs;
  let stray = strayInterfaces(o);
  while (stray.length > 0 && performance.now() < end) {
    await Bun.sleep(againMs);
    const still = new Set(strayInterfaces(o).map(({ name }) => name));
    stray = stray.filter(({ name }) => still.has(name));
  }
  for (const { name, network } of stray)
    yield {
      area: "networks",
      problem: `interface ${name} on network ${network.name} belongs to no container`,
      remedy: "remove it",
      repair: () => o.driver(network.driver).sweep(network, known(o)),
    };
}

function bridges({ driver, looked, networks }: NetworkCheckParts): Finding[] {
  return networks().flatMap((network): Finding[] => {
    looked();
    const { configOnly, device, name } = network;
    const its = driver(network.driver);
    if (configOnly || device === "" || !its.routed || its.present(device)) return [];
    return [
      {
        area: "networks",
        problem: `the bridge ${device} of network ${name} is gone`,
        remedy: "make it anew; containers on it reach others again when they are restarted",
        repair: () => its.make(network),
      },
    ];
  });
}

function ofContainers({ detach, isKnown, isPlugged, looked, sandboxes }: NetworkCheckParts): Finding[] {
  const present = new Set(links().map(({ name }) => name));
  return sandboxes
    .list()
    .filter(isPlugged)
    .flatMap(({ containerId, containerName, endpoints, joins, netnsPath }): Finding[] => {
      looked();
      const who = `container ${containerName}`;
      if (!isKnown(containerId))
        return [
          {
            area: "networks",
            problem: `${who} has addresses and ports, and is not there`,
            remedy: "give them back",
            repair: () => detach(containerId),
          },
        ];
      const remedy = `restart it: 'wherry restart ${containerName}'`;
      if (netnsPath !== undefined && !existsSync(netnsPath))
        return [{ area: "networks", problem: `the network namespace of ${who} is gone`, remedy }];
      if (joins !== undefined) return [];
      return endpoints
        .filter(({ hostInterface }) => hostInterface !== "" && !present.has(hostInterface))
        .map(({ hostInterface, networkName }) => ({
          area: "networks",
          problem: `the interface ${hostInterface} of ${who} on network ${networkName} is gone`,
          remedy,
        }));
    });
}

function namespaces({ namespaces: all, sandboxes }: NetworkCheckParts): Finding[] {
  const kept = new Set(sandboxes.list().flatMap(({ netnsPath = "" }) => [netnsPath]));
  return all.strays(kept).map((path) => ({
    area: "networks",
    problem: `the network namespace ${path} belongs to no container`,
    remedy: "remove it",
    repair: () => all.remove(path),
  }));
}

function rules({ firewall }: NetworkCheckParts): Finding[] {
  return firewall.differences().map((problem) => ({
    area: "networks",
    problem,
    remedy: "write the rules anew from the records",
    repair: () => firewall.remake(),
  }));
}

function strayInterfaces(o: NetworkCheckParts): { readonly name: string; readonly network: NetworkRecord }[] {
  const ends = known(o);
  const all = links();
  return o.networks().flatMap((network) => {
    const { hostPrefix } = o.driver(network.driver);
    const bridge = all.find(({ name }) => name === network.device && name !== "");
    if (hostPrefix === "" || bridge === undefined) return [];
    return all
      .filter(({ master, name }) => master === bridge.index && name.startsWith(hostPrefix) && !ends.has(name))
      .map(({ name }) => ({ name, network }));
  });
}

function known({ sandboxes }: NetworkCheckParts): Set<string> {
  return new Set(
    sandboxes.list().flatMap(({ endpoints }) => endpoints.map(({ hostInterface }) => hostInterface)),
  );
}

function links(): ReturnType<typeof listLinks> {
  using netlink = new Netlink();
  return listLinks(netlink);
}
