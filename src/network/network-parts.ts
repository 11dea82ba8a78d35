/** What networks are put together from. Nothing is made on the host by it. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { machineId } from "#kernel/host.ts";
import { Fault } from "#spec/fault.ts";
import { families } from "#spec/ip.ts";
import type { NetworkRecord } from "#spec/network.ts";
import type { Records } from "#store/records.ts";
import { Attachments, targetsOf } from "./attachments.ts";
import { BridgeDriver, bridged } from "./drivers/bridge-driver.ts";
import type { NetworkDriver } from "./drivers/driver.ts";
import { ParentDriver } from "./drivers/parent-driver.ts";
import { hostDriver, nullDriver } from "./drivers/plain-drivers.ts";
import { Firewall, type FirewallContent } from "./firewall/firewall.ts";
import { Announcements } from "./links/announcements.ts";
import { Namespaces } from "./links/namespaces.ts";
import { MadeNetworks } from "./made-networks.ts";
import { type DnsDefaults, hostServers, noDns } from "./names/container-files.ts";
import { DnsForwarder } from "./names/dns-forwarder.ts";
import { NameResolver } from "./names/name-resolver.ts";
import { NameServers } from "./names/name-server.ts";
import { type DefaultBridge, decidePredefined } from "./predefined.ts";
import { type AddressPool, completePools, localPool } from "./records/ipam.ts";
import { NetworkTable } from "./records/network-table.ts";
import { RouteGuard } from "./records/route-guard.ts";
import { SandboxTable } from "./records/sandbox-table.ts";
import { Relays } from "./relays/relays.ts";
import type { FirewallMode } from "./rules/host-rules.ts";

export interface NetworksOptions {
  readonly records: Records;
  /** For namespaces; a reboot ends them. */
  readonly execRoot: string;
  /** Of bridges and table: no other engine's; at most 12 letters and digits. */
  readonly name: string;
  readonly bridge?: DefaultBridge | undefined;
  readonly addressPools?: readonly AddressPool[] | undefined;
  /** By driver: options of networks that do not say otherwise. */
  readonly networkDefaults?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
  /** False: IPv6 is left to other rules, and nothing of it is translated or kept apart. */
  readonly ip6tables?: boolean | undefined;
  readonly dns?: DnsDefaults | undefined;
  /** What `host-gateway` means; the default bridge's own addresses when absent. */
  readonly hostGateways?: readonly string[] | undefined;
  /** The program of the thread that relays what the kernel cannot lead to containers (`relays.ts`); absent: nothing does. */
  readonly relayThread?: URL | undefined;
  /** Whether the host's own filter decides about published ports too; `strict` when absent. */
  readonly firewall?: FirewallMode | undefined;
  readonly now: () => string;
  /** Told of what could not be put right. */
  readonly report: (fault: Fault) => void;
  /** Told of a route of the host that appeared in the way of a network. */
  readonly overlapped?: ((network: NetworkRecord, warning: string) => void) | undefined;
}

export type NetworkParts = ReturnType<typeof networkParts>;

/** Decides the default networks. @throws Fault `invalid` for a bad `bip`. */
export function networkParts(o: NetworksOptions) {
  const networks = new NetworkTable(o.records);
  const sandboxes = new SandboxTable(o.records);
  const namespaces = new Namespaces(join(o.execRoot, "netns"));
  const firewall = firewallOf(o, () => ({
    families: o.ip6tables === false ? [4] : families,
    networks: networks.list().filter(isBridged).map(bridged),
    published: sandboxes
      .list()
      .filter((each) => attachments.isPlugged(each))
      .flatMap(targetsOf),
  }));
  const pools = completePools(o.addressPools, localPool(ownDigest(o.name)));
  const { names } = sandboxes;
  const resolver = new NameResolver({ names, forwarder: new DnsForwarder(), hostServers });
  const nameServers = new NameServers({
    resolver,
    sandbox: (containerId) => sandboxes.get(containerId),
    report: o.report,
  });
  const drivers: ReadonlyMap<string, NetworkDriver> = new Map(
    driversOf(o.name, firewall).map((each) => [each.name, each]),
  );
  const made = new MadeNetworks({
    ...{ table: networks, sandboxes, drivers, pools },
    defaults: o.networkDefaults ?? {},
    ...{ now: o.now, report: o.report },
  });
  const program = o.relayThread;
  const relays = program === undefined ? undefined : new Relays({ program, report: o.report });
  const announcements = new Announcements();
  const attachments: Attachments = new Attachments({
    ...{ relays, networks, sandboxes, namespaces, firewall, nameServers, announcements },
    dns: o.dns ?? noDns,
    driver: (network) => made.driver(network.driver),
    report: o.report,
  });
  const routes = new RouteGuard({
    networks: () => made.routed(),
    hostRoutes: () => made.usedByHost(),
    told: (network, warning) => {
      o.report(new Fault("conflict", `network ${network.name}: ${warning}`));
      o.overlapped?.(network, warning);
    },
    report: o.report,
  });
  decidePredefined(networks, {
    device: `wh${o.name}`,
    wish: o.bridge ?? { ipv4: {}, options: {} },
    pools,
    used: () => made.usedByHost(),
    created: o.now(),
  });
  return {
    ...{ networks, sandboxes, namespaces, firewall, drivers, made },
    ...{ resolver, nameServers, relays, announcements, attachments, routes },
  };
}

function firewallOf(o: NetworksOptions, content: () => FirewallContent): Firewall {
  return new Firewall({
    table: `wherry-${o.name}`,
    content,
    mode: o.firewall ?? "strict",
    // The beginning of all names that `BridgeDriver.device` makes up.
    bridgePrefix: `wh${o.name.slice(0, 5)}`,
    report: o.report,
  });
}

function driversOf(name: string, firewall: Firewall): NetworkDriver[] {
  const parents = [new ParentDriver("macvlan"), new ParentDriver("ipvlan")];
  return [new BridgeDriver(name, firewall), ...parents, hostDriver, nullDriver];
}

function isBridged({ driver, configOnly }: NetworkRecord): boolean {
  return driver === "bridge" && !configOnly;
}

/** Neither another machine's nor another engine's of this one. */
function ownDigest(name: string): Uint8Array {
  return createHash("sha256").update(`${machineId()} ${name}`).digest();
}
