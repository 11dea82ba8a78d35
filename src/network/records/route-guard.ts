/**
 * Routes of the host in the way of networks: a network is made out of their way, and they may come later.
 * Owns: the watch over the host's routes. Promises: each overlap is told once, when it comes about.
 */
import { watchRoutes } from "#kernel/network/route-watch.ts";
import type { Fault } from "#spec/fault.ts";
import { overlap, parseSubnet, type Subnet } from "#spec/ip.ts";
import type { NetworkRecord } from "#spec/network.ts";
import type { UsedBy } from "./ipam.ts";
import { routeWarnings } from "./plan-network.ts";

export interface RouteGuardParts {
  /** Those the host has routes into. */
  readonly networks: () => readonly NetworkRecord[];
  /** What the host has routes into, but through these. */
  readonly hostRoutes: () => readonly UsedBy[];
  readonly told: (network: NetworkRecord, warning: string) => void;
  readonly report: (fault: Fault) => void;
}

export class RouteGuard implements Disposable {
  readonly #parts: RouteGuardParts;
  readonly #stack = new DisposableStack();
  /** By network id. */
  #known = new Map<string, readonly string[]>();

  constructor(parts: RouteGuardParts) {
    this.#parts = parts;
  }

  /** Looks once, and from then on whenever a route appears. */
  start(): void {
    this.#stack.use(
      watchRoutes({
        appeared: (subnets) => {
          if (this.#concerns(subnets)) this.#look();
        },
        lost: () => this.#look(),
        failed: this.#parts.report,
      }),
    );
    this.#look();
  }

  /** What is in the way of one network, in sentences. */
  warnings({ pools }: Pick<NetworkRecord, "pools">): string[] {
    return routeWarnings(pools, this.#parts.hostRoutes());
  }

  #concerns(subnets: readonly Subnet[]): boolean {
    return this.#parts
      .networks()
      .some(({ pools }) =>
        pools.some(({ subnet }) => subnets.some((each) => overlap(each, parseSubnet(subnet)))),
      );
  }

  #look(): void {
    const { hostRoutes, networks, told } = this.#parts;
    const host = hostRoutes();
    const found = new Map<string, readonly string[]>();
    for (const network of networks()) {
      const warnings = routeWarnings(network.pools, host);
      found.set(network.id, warnings);
      const before = this.#known.get(network.id) ?? [];
      for (const warning of warnings) if (!before.includes(warning)) told(network, warning);
    }
    this.#known = found;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
