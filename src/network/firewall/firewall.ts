/**
 * The engine's nftables tables: the one that stays when the engine ends, and its double, which nobody but the engine can
 * change or flush, and which goes with it.
 * Owns: both, and the watch over them. Promises: each change takes effect as a whole; what was never there needs no
 * removal; what somebody else took from the table is back before the next event, and the double holds meanwhile.
 * Never: another program's tables.
 */
import { NftSession, runNft } from "#kernel/network/nftables.ts";
import type { RulesetChange } from "#kernel/network/ruleset-changes.ts";
import { watchRulesets } from "#kernel/network/ruleset-watch.ts";
import { type FirewallMode, HostRules } from "#network/rules/host-rules.ts";
import {
  addNetwork,
  addPorts,
  type BridgedNetwork,
  barPorts,
  deleteNetwork,
  deletePorts,
  type PublishedTarget,
  plainElements,
  replaceTable,
} from "#network/rules/ruleset.ts";
import { Fault } from "#spec/fault.ts";
import type { Family } from "#spec/ip.ts";
import type { HostFacts } from "./audit.ts";

/** What must be in the table, as the records have it. */
export interface FirewallContent {
  /** Others' packets are nobody's business here. */
  readonly families: readonly Family[];
  readonly networks: readonly BridgedNetwork[];
  readonly published: readonly PublishedTarget[];
}

interface Copy {
  readonly table: string;
  readonly owned: boolean;
  readonly run: (commands: string) => void;
}

export class Firewall implements Disposable {
  readonly #table: string;
  readonly #content: () => FirewallContent;
  readonly #report: (fault: Fault) => void;
  readonly #stack = new DisposableStack();
  readonly #hostRules: HostRules;
  #copies: readonly Copy[] = [];
  #barred: readonly number[] = [];
  /** The engine's own, as the kernel numbers it; known from the change that made the table. */
  #ownPid: number | undefined;

  constructor(o: {
    readonly table: string;
    /** Asked whenever the table has to be made anew; records are written before what they name. */
    readonly content: () => FirewallContent;
    readonly mode: FirewallMode;
    /** How names of the engine's bridges begin, but of those whose names the user chose. */
    readonly bridgePrefix: string;
    readonly report: (fault: Fault) => void;
  }) {
    this.#table = o.table;
    this.#content = o.content;
    this.#report = o.report;
    this.#hostRules = this.#stack.use(
      new HostRules({
        ...{ mode: o.mode, table: o.table, bridgePrefix: o.bridgePrefix, report: o.report },
        bridges: () => o.content().networks.map(({ bridge }) => bridge),
      }),
    );
  }

  /** Makes the tables, with exactly what `content` says, and watches over them from then on. */
  start(): void {
    this.#stack.use(
      watchRulesets({
        changed: (change) => this.#changed(change),
        lost: () => {
          this.#repair("more rules changed than could be looked at");
          this.#hostRules.changed();
        },
        failed: this.#report,
      }),
    );
    const session = this.#stack.use(new NftSession());
    const plain = { table: this.#table, owned: false, run: (commands: string) => void session.run(commands) };
    this.#copies = [...this.#heldCopy(), plain];
    for (const copy of this.#copies) this.#replace(copy);
    this.#hostRules.start();
  }

  /** None where the kernel knows no owners. */
  #heldCopy(): Copy[] {
    const session = this.#stack.use(new NftSession());
    const copy = {
      table: `${this.#table}-held`,
      owned: true,
      run: (commands: string) => void session.run(commands),
    };
    try {
      session.run(`table inet ${copy.table} { flags owner; }`);
      return [copy];
    } catch {
      return [];
    }
  }

  #replace({ table, owned, run }: Copy): void {
    run(replaceTable({ table, owned, barred: this.#barred, ...this.#content() }));
  }

  #changed({ tables, pid, program }: RulesetChange): void {
    const isOurs = tables.has(this.#table);
    // The first is the one `start` made.
    if (isOurs) this.#ownPid ??= pid;
    if (pid === this.#ownPid) return;
    if (isOurs) this.#repair(`${program} (process ${pid}) changed the table ${this.#table}`);
    this.#hostRules.changed();
  }

  #repair(why: string): void {
    try {
      for (const copy of this.#copies) if (!copy.owned) this.#replace(copy);
      this.#report(new Fault("conflict", `${why}: made it anew`));
    } catch (thrown) {
      const { message } = Fault.from(thrown);
      this.#report(
        new Fault("internal", `${why}, and it could not be made anew: ${message}`, { cause: thrown }),
      );
    }
  }

  /** How the tables differ from the records, in sentences. */
  differences(): string[] {
    const wanted = plainElements(this.#content());
    return this.#copies.flatMap(({ table }) => {
      let text: string;
      try {
        text = runNft(`list table inet ${table}`);
      } catch {
        return [`the table ${table} of nftables is gone`];
      }
      const missing = [...wanted].flatMap(([set, keys]) =>
        keys
          .filter((key) => !answers(`get element inet ${table} ${set} { ${key} }`))
          .map((key) => `${key} in ${set}`),
      );
      const more = countsOf(text).filter(([set, count]) => count > new Set(wanted.get(set)).size);
      return [
        ...missing.map((what) => `the table ${table} of nftables lacks ${what}`),
        ...more.map(
          ([set]) => `the table ${table} of nftables has elements in ${set} that no record speaks of`,
        ),
      ];
    });
  }

  /** All from the records, in one step for each table. */
  remake(): void {
    for (const copy of this.#copies) this.#replace(copy);
  }

  get facts(): HostFacts {
    return { ...this.#hostRules.facts, barred: this.#barred };
  }

  /** TCP ports of the host that containers must not reach, in place of those before. */
  bar(ports: readonly number[]): void {
    this.#barred = ports;
    this.#add((table) => `flush set inet ${table} barred\n${barPorts(table, ports)}`);
  }

  addNetwork(network: BridgedNetwork): void {
    this.#add((table) => addNetwork(table, network));
    if (this.#copies.length > 0) this.#hostRules.bridgesChanged();
  }

  removeNetwork(network: BridgedNetwork): void {
    for (const { table, run } of this.#copies) ignoreMissing(() => run(deleteNetwork(table, network)));
    if (this.#copies.length > 0) this.#hostRules.bridgesChanged();
  }

  publish(published: readonly PublishedTarget[]): void {
    if (published.length > 0) this.#add((table) => addPorts(table, published));
  }

  /** Where the table went a moment ago, all that is recorded comes back, this with it. */
  #add(commands: (table: string) => string): void {
    for (const copy of this.#copies) {
      try {
        copy.run(commands(copy.table));
      } catch (thrown) {
        if (!isMissing(thrown)) throw thrown;
        this.#replace(copy);
      }
    }
  }

  /** Idempotent. In one step; one by one where some are not there. */
  unpublish(published: readonly PublishedTarget[]): void {
    if (published.length === 0) return;
    for (const { table, run } of this.#copies) {
      try {
        run(deletePorts(table, published));
      } catch {
        for (const each of published) ignoreMissing(() => run(deletePorts(table, [each])));
      }
    }
  }

  /** The table stays: containers outlive the engine. */
  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

function answers(question: string): boolean {
  try {
    runNft(question);
    return true;
  } catch {
    return false;
  }
}

/** How many elements each set and map of published ports has, in the text of a table. */
function countsOf(text: string): (readonly [set: string, count: number])[] {
  const sets = /(?:map|set) ((?:any|one|open|relayed)\w*) \{[^}]*?elements = \{([^}]*)\}/g;
  return [...text.matchAll(sets)].map(
    ([, set = "", elements = ""]) => [set, elements.split(",").length] as const,
  );
}

/** An element that was never made, or that went with its table, needs no removal. */
function ignoreMissing(work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
  }
}

function isMissing(thrown: unknown): boolean {
  return /No such file or directory|does not exist/.test(Fault.from(thrown).message);
}
