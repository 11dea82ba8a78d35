/**
 * Which networks there are, and their making on this host by the driver of each.
 * Owns: their order: a record is written before the driver makes anything, and deleted after it took it away.
 */
import { randomBytes } from "node:crypto";
import { usedSubnets } from "#kernel/network/addresses.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { Fault } from "#spec/fault.ts";
import { parseSubnet } from "#spec/ip.ts";
import {
  type NetworkCreateRequest,
  type NetworkPool,
  type NetworkRecord,
  predefinedNetworks,
} from "#spec/network.ts";
import type { NetworkDriver } from "./drivers/driver.ts";
import { defaultNetwork } from "./predefined.ts";
import { asksForIpv6 } from "./records/bridge-options.ts";
import type { AddressPool, UsedBy } from "./records/ipam.ts";
import type { NetworkTable } from "./records/network-table.ts";
import { checkNetworkRequest, planPools, routeWarnings, wantedFamilies } from "./records/plan-network.ts";
import type { SandboxTable } from "./records/sandbox-table.ts";

export interface MadeNetworksParts {
  readonly table: NetworkTable;
  /** Who is on them. */
  readonly sandboxes: SandboxTable;
  readonly drivers: ReadonlyMap<string, NetworkDriver>;
  readonly pools: readonly AddressPool[];
  /** By driver: options of networks that do not say otherwise. */
  readonly defaults: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly now: () => string;
  /** Told of what could not be made again. */
  readonly report: (fault: Fault) => void;
}

export class MadeNetworks {
  readonly #o: MadeNetworksParts;

  constructor(o: MadeNetworksParts) {
    this.#o = o;
  }

  /** @throws Fault `not-found` in dockerd's words. */
  driver(name: string): NetworkDriver {
    const driver = this.#o.drivers.get(name);
    if (driver !== undefined) return driver;
    throw new Fault("not-found", `plugin ${JSON.stringify(name)} not found`);
  }

  /** What the host has routes or addresses in, but through networks of this engine. */
  usedByHost(): UsedBy[] {
    using netlink = new Netlink();
    const own = new Set(this.routed().map(({ device }) => device));
    return usedSubnets(netlink)
      .filter(({ interfaceName }) => !own.has(interfaceName))
      .map(({ address, prefixLength, interfaceName }) => ({
        address,
        prefixLength,
        owner: interfaceName === "" ? "a route of the host" : `the host's route through ${interfaceName}`,
      }));
  }

  /** That, and what networks of this engine have. */
  used(): UsedBy[] {
    const own = this.#o.table
      .list()
      .flatMap(({ name, pools }) =>
        pools.map(({ subnet }) => ({ ...parseSubnet(subnet), owner: `network ${name}` })),
      );
    return [...this.usedByHost(), ...own];
  }

  /** Those the host has routes into. */
  routed(): NetworkRecord[] {
    return this.#o.table
      .list()
      .filter(({ configOnly, driver }) => !configOnly && this.#o.drivers.get(driver)?.routed === true);
  }

  /** Makes them on this host again. The default bridge must be there; another network's trouble is told and stays its own. */
  prepare(): void {
    for (const network of this.#o.table.list()) if (!network.configOnly) this.#prepareOne(network);
  }

  #prepareOne(network: NetworkRecord): void {
    try {
      this.driver(network.driver).make(network);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      if (network.name === defaultNetwork) throw fault;
      this.#o.report(
        new Fault(fault.kind, `network ${network.name} could not be made again: ${fault.message}`, {
          cause: thrown,
        }),
      );
    }
  }

  /** @returns A warning, empty for none. @throws Fault in dockerd's words. */
  create(request: NetworkCreateRequest): { network: NetworkRecord; warning: string } {
    checkNetworkRequest(request);
    if (this.#o.table.named(request.name) !== undefined)
      throw new Fault("conflict", `network with name ${request.name} already exists`);
    const settings = this.#settingsOf(request);
    const driver = this.driver(settings.configOnly ? "null" : settings.driver);
    if (driver.single && !settings.configOnly)
      throw new Fault("denied", `only one instance of "${driver.name}" network is allowed`);
    driver.check(settings);
    const used = this.usedByHost();
    const pools = driver.addressed ? this.#plan(settings, driver, used) : [];
    const id = randomBytes(32).toString("hex");
    const device = settings.configOnly ? "" : driver.device({ ...settings, id });
    const network = this.#record(request, settings, { id, device, driver, pools });
    this.#o.table.put(network);
    try {
      if (!network.configOnly) driver.make(network);
    } catch (error) {
      driver.remove(network);
      this.#o.table.delete(network);
      throw error;
    }
    return { network, warning: driver.routed ? routeWarnings(pools, used).join("; ") : "" };
  }

  #plan(settings: NetworkCreateRequest, driver: NetworkDriver, host: readonly UsedBy[]): NetworkPool[] {
    return planPools(
      {
        config: settings.ipam.config,
        families: wantedFamilies(settings),
        hasGateway: (family) => driver.hasGateway(settings, family),
      },
      { networks: this.#o.table.list(), host, pools: this.#o.pools },
    );
  }

  /** As asked, or those of the network it takes them from. */
  #settingsOf(request: NetworkCreateRequest): NetworkCreateRequest {
    if (request.configFrom === "") {
      const driver = request.driver || "bridge";
      const options = { ...this.#o.defaults[driver], ...request.options };
      return { ...request, driver, options, ipv6: request.ipv6 || asksForIpv6(options) };
    }
    const from = this.#o.table.get(request.configFrom);
    if (!from.configOnly)
      throw new Fault(
        "denied",
        `the network ${from.name} is no configuration network: make it with --config-only`,
      );
    const { ipam, options, labels } = from;
    const driver = request.driver || "bridge";
    return {
      ...request,
      driver,
      configFrom: from.name,
      ipam,
      options,
      ipv6: request.ipv6 || from.ipv6,
      labels: { ...labels, ...request.labels },
    };
  }

  #record(
    request: NetworkCreateRequest,
    settings: NetworkCreateRequest,
    o: {
      id: string;
      device: string;
      driver: NetworkDriver;
      pools: readonly NetworkPool[];
    },
  ): NetworkRecord {
    const { device, driver, id, pools } = o;
    const rivals = this.#o.table.list().filter((each) => device !== "" && each.device === device);
    for (const rival of rivals) driver.share({ id, device, options: settings.options }, rival);
    return {
      id,
      name: request.name,
      created: this.#o.now(),
      driver: driver.name,
      ipv4: settings.ipv4,
      ipv6: settings.ipv6,
      internal: settings.internal,
      attachable: settings.attachable,
      configOnly: settings.configOnly,
      configFrom: settings.configFrom,
      ipam: {
        driver: settings.ipam.driver || "default",
        options: settings.ipam.options,
        config: settings.ipam.config,
      },
      options: settings.options,
      labels: settings.labels,
      pools,
      device,
      ownsDevice: device !== "" && !driver.present(device),
    };
  }

  /** @throws Fault `not-found`, `denied` for a predefined network and while containers are on it. */
  remove(reference: string): NetworkRecord {
    const network = this.#o.table.get(reference);
    if (predefinedNetworks.includes(network.name))
      throw new Fault("denied", `${network.name} is a pre-defined network and cannot be removed`);
    if (network.configOnly && this.#o.table.list().some(({ configFrom }) => configFrom === network.name))
      throw new Fault(
        "denied",
        `error while removing network: configuration network ${JSON.stringify(network.name)} is in use`,
      );
    const members = [...this.#o.sandboxes.members(network.id)];
    if (members.length > 0)
      throw new Fault(
        "denied",
        `error while removing network: network ${network.name} has active endpoints (${members
          .map(
            ([id, endpoint]) =>
              `name:"${this.#o.sandboxes.get(id)?.containerName ?? ""}" id:"${endpoint.endpointId.slice(0, 12)}"`,
          )
          .join(", ")}): disconnect or stop these containers first`,
      );
    if (!network.configOnly) this.driver(network.driver).remove(network);
    this.#o.table.delete(network);
    this.#o.sandboxes.leases.forget(network.id);
    return network;
  }
}
