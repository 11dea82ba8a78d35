/**
 * The engine and the host's own filter: `strict` applies its rules for connections to the host to published ports too, in a
 * table beside the engine's; `docker` lets containers past what it says of forwarded packets.
 * Owns: that table, and the rules it put before others' in mode `docker`. Promises: follows the host's rules as they change.
 * Never: changes or removes a rule of somebody else's; in mode `strict`, touches another table at all.
 */
import { listRulesets, runNft } from "#kernel/network/nftables.ts";
import { Fault } from "#spec/fault.ts";
import { bypass } from "./host-bypass.ts";
import { closedFilter, forwardDrops, type HostFilter, hostFilterTable, mirrorInput } from "./host-filter.ts";

export const firewallModes = ["strict", "docker"] as const;
export type FirewallMode = (typeof firewallModes)[number];

/** Between two looks at all of the host's rules: some programs change them many times a second. */
const restMs = 100;

/** How names of tables of engines like this one begin: no host's filter. */
const engines = "wherry-";

export interface HostRulesOptions {
  readonly mode: FirewallMode;
  /** The engine's table; that of the host's rules is named after it. */
  readonly table: string;
  /** How names of the engine's bridges begin, but of those whose names the user chose. */
  readonly bridgePrefix: string;
  /** As they are now. */
  readonly bridges: () => readonly string[];
  readonly report: (fault: Fault) => void;
}

export class HostRules implements Disposable {
  readonly #o: HostRulesOptions;
  readonly #table: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #filter: HostFilter | undefined;
  #drops: readonly string[] = [];
  #applied = "";
  #told = "";

  constructor(o: HostRulesOptions) {
    this.#o = o;
    this.#table = `${o.table}-host`;
  }

  /** Takes away what an engine in the other mode left, and looks. */
  start(): void {
    this.#guarded(() => {
      if (this.#o.mode === "strict") this.#bypass([]);
      else runNft(hostFilterTable(this.#table, undefined, []));
    });
    this.apply();
  }

  /** Looks at the host's rules, and does what follows from them. */
  apply(): void {
    this.#lookedAt = performance.now();
    this.#guarded(() => {
      const { mode, bridgePrefix, bridges } = this.#o;
      if (mode === "strict") this.#follow(runNft("list ruleset"));
      else this.#bypass([`${bridgePrefix}*`, ...bridges().filter((each) => !each.startsWith(bridgePrefix))]);
    });
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const { message } = Fault.from(thrown);
      this.#o.report(
        new Fault("internal", `cannot follow the host's own rules: ${message}`, { cause: thrown }),
      );
    }
  }

  /** Somebody changed rules: looks soon. */
  changed(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(0, this.#lookedAt + restMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.apply();
    }, wait);
  }

  /** There is a bridge more or less. */
  bridgesChanged(): void {
    if (this.#o.mode === "docker") this.changed();
    else if (this.#filter !== undefined) this.#guarded(() => this.#put(this.#filter));
  }

  /** As last looked at. */
  get facts(): { readonly mode: FirewallMode; readonly filters: boolean; readonly drops: readonly string[] } {
    return { mode: this.#o.mode, filters: this.#filter !== undefined, drops: this.#drops };
  }

  #bypass(bridges: readonly string[]): void {
    const commands = bypass({ ruleset: listRulesets(), engines, comment: this.#o.table, bridges });
    if (commands !== "") runNft(commands);
  }

  #follow(ruleset: string): void {
    const filter = mirrorInput(ruleset, engines);
    this.#filter = filter;
    const isThere = ruleset.includes(`table inet ${this.#table} {`);
    // A flush takes it away without a change of the host's rules.
    const isRight = hostFilterTable(this.#table, filter, this.#o.bridges()) === this.#applied && isThere;
    const isNeeded = filter !== undefined || isThere;
    if (isNeeded && !isRight) this.#put(filter);
    this.#drops = forwardDrops(ruleset, engines);
    this.#tell(filter, this.#drops);
  }

  #put(filter: HostFilter | undefined): void {
    const table = hostFilterTable(this.#table, filter, this.#o.bridges());
    this.#applied = filter === undefined ? "" : table;
    try {
      runNft(table);
    } catch (thrown) {
      if (filter === undefined) throw thrown;
      runNft(hostFilterTable(this.#table, closedFilter, this.#o.bridges()));
      throw new Fault(
        "unsupported",
        `published ports stay closed from outside: ${Fault.from(thrown).message}`,
        {
          cause: thrown,
        },
      );
    }
  }

  /** Once for each state of things. */
  #tell(filter: HostFilter | undefined, drops: readonly string[]): void {
    const lines = [
      ...drops.map(
        (chain) =>
          `the host drops forwarded packets (${chain}): containers have no way out and their ports stay closed, unless a rule there accepts ${this.#o.bridgePrefix}*; --firewall docker bypasses it`,
      ),
      ...(filter?.omitted ?? []).map(
        ({ chain, rule }) => `a rule of the host cannot be applied to published ports (${chain}): ${rule}`,
      ),
    ].filter((line, index, all) => all.indexOf(line) === index);
    if (lines.join() === this.#told) return;
    this.#told = lines.join();
    for (const line of lines) this.#o.report(new Fault("conflict", line));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
