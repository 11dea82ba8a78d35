/**
 * Why a step was done again: what it reads against what it read in the build before.
 * Owns: the record of each context's last build: what its steps read, which were done, and why. A step is the same one when
 * its instruction is, in a stage of the same name.
 */

import { type BuildNode, canonical, sha256Of } from "#build/request/graph.ts";
import type { MissKind } from "#spec/build-outcome.ts";
import type { ChainId } from "#spec/digest.ts";
import type { Records, Table } from "#store/records.ts";
import type { PreparedWork } from "./node-work.ts";

/** Contexts whose last builds are known. */
export const placesMax = 64;

/** One step that was not taken from the cache. */
export interface Miss {
  readonly step: string;
  readonly kind: MissKind;
  /** `changed src/a.js`, `added b`, `removed c`, `changed variable V`, what it stands on. */
  readonly changes: readonly string[];
}

/** A build, and what of it was done again. Times are milliseconds since 1970. */
export interface BuildOutcome {
  readonly dockerfile: string;
  /** Empty for the last stage. */
  readonly target: string;
  /** An address, or empty for the client's own files. */
  readonly context: string;
  /** What the client says of where its files are; empty when it says nothing. */
  readonly origin: string;
  readonly atMs: number;
  /** Steps that had to be looked at. */
  readonly steps: number;
  readonly misses: readonly Miss[];
}

/** What tells a build from others: those of one place are compared. */
export type BuildPlace = Pick<BuildOutcome, "dockerfile" | "target" | "context" | "origin">;

export interface Reading {
  readonly reads: Readonly<Record<string, string>>;
  readonly operation: Readonly<Record<string, string>>;
  /** What it stands on, in words, and its layers. */
  readonly base: string;
  readonly below: string;
}

interface StoredOutcome extends BuildOutcome {
  /** Of each step, a hash of what it read. */
  readonly marks: Readonly<Record<string, string>>;
}

type Readings = Readonly<Record<string, Reading>>;

export class MissRecords {
  readonly #outcomes: Table<StoredOutcome>;
  /** Of each context; large where contexts are. */
  readonly #readings: Table<Readings>;

  constructor(records: Records) {
    this.#outcomes = records.table("build-outcomes");
    this.#readings = records.table("build-step-readings");
  }

  /** The newest first. */
  list(): BuildOutcome[] {
    return this.#outcomes
      .list()
      .map(({ marks: _, ...outcome }) => outcome)
      .sort((left, right) => right.atMs - left.atMs);
  }

  marks(place: string): StoredOutcome["marks"] {
    return this.#outcomes.get(place)?.marks ?? {};
  }

  readings(place: string): Readings {
    return this.#readings.get(place) ?? {};
  }

  keep(place: string, outcome: StoredOutcome, readings: Readings | undefined): void {
    const known = this.#outcomes.get(place) !== undefined;
    this.#outcomes.put(place, outcome);
    if (readings !== undefined) this.#readings.put(place, readings);
    if (known) return;
    const all = this.#outcomes.entries().sort(([, left], [, right]) => right.atMs - left.atMs);
    for (const [old] of all.slice(placesMax)) {
      this.#outcomes.delete(old);
      this.#readings.delete(old);
    }
  }
}

/** What a step read in this build; `below` is undefined where nobody had to know. */
export interface StepReading {
  readonly prepared: Pick<PreparedWork, "key" | "reads">;
  readonly below: ChainId | "nothing" | undefined;
}

/** The steps of one build. */
export class Misses {
  readonly #records: MissRecords;
  readonly #about: BuildPlace;
  readonly #place: string;
  readonly #now = new Map<BuildNode, StepReading>();
  readonly #done: BuildNode[] = [];

  constructor(records: MissRecords, about: BuildPlace) {
    this.#records = records;
    this.#about = about;
    this.#place = sha256Of(canonical(about));
  }

  /** It was not taken from the cache. */
  done(node: BuildNode): void {
    this.#done.push(node);
  }

  /** What a step has read, whether or not it was done. */
  read(node: BuildNode, reading: StepReading): void {
    this.#now.set(node, reading);
  }

  /** The build is over; steps it did not come to stay as they were. */
  end(atMs: number, nodes: readonly BuildNode[]): void {
    const steps = nodes.filter(({ operation }) => operation.kind !== "image" && operation.kind !== "files");
    const known = this.#records.marks(this.#place);
    const marks = Object.fromEntries(
      steps.flatMap((node) => {
        const mark = this.#mark(node) ?? known[stepOf(node)];
        return mark === undefined ? [] : [[stepOf(node), mark]];
      }),
    );
    const about = { ...this.#about, atMs, steps: steps.length };
    if (this.#done.length === 0 && canonical(marks) === canonical(known)) {
      this.#records.keep(this.#place, { ...about, misses: [], marks }, undefined);
      return;
    }
    const before = this.#records.readings(this.#place);
    const now = Object.fromEntries(
      steps.flatMap((node) => {
        const reading = this.#reading(node, before[stepOf(node)]);
        return reading === undefined ? [] : [[stepOf(node), reading]];
      }),
    );
    const misses = this.#done.map((node) => missOf(node, before[stepOf(node)], now[stepOf(node)]));
    this.#records.keep(this.#place, { ...about, misses, marks }, now);
  }

  #mark(node: BuildNode): string | undefined {
    const now = this.#now.get(node);
    return now && sha256Of(canonical([now.prepared.key, shownOperation(node), now.below ?? ""]));
  }

  #reading(node: BuildNode, before: Reading | undefined): Reading | undefined {
    const now = this.#now.get(node);
    if (now === undefined) return before;
    const input = node.inputs[0];
    return {
      reads: now.prepared.reads(),
      operation: shownOperation(node),
      base: input === undefined ? "nothing" : baseOf(input),
      below: now.below ?? before?.below ?? "nothing",
    };
  }
}

/** Without its number, which changes when steps are put before it, and without what its variables mean. */
function stepOf({ name, written = name }: BuildNode): string {
  return written;
}

function baseOf({ operation, name }: BuildNode): string {
  return operation.kind === "image" ? `the base image ${operation.reference}` : `the step before it, ${name}`;
}

/** Pure. */
function missOf(node: BuildNode, before: Reading | undefined, now: Reading | undefined): Miss {
  const step = node.name;
  if (!node.useCache) return { step, kind: "refused", changes: [] };
  if (before === undefined || now === undefined) return { step, kind: "new", changes: [] };
  const changes = differences(before, now);
  return { step, kind: changes.length === 0 ? "gone" : "changed", changes };
}

/** Pure. */
export function differences(before: Reading, now: Reading): string[] {
  return [
    ...(before.below === now.below ? [] : [`changed ${now.base}`]),
    ...changedKeys(before.operation, now.operation),
    ...changedKeys(before.reads, now.reads),
  ];
}

function changedKeys(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return names
    .filter((name) => before[name] !== now[name])
    .map((name) => {
      const what = before[name] === undefined ? "added" : now[name] === undefined ? "removed" : "changed";
      return `${what} ${name}`;
    });
}

/** What of the instruction may differ though it is the same one: its variables, its directory, its user. */
function shownOperation({ operation }: BuildNode): Record<string, string> {
  if (operation.kind !== "run") return { "what its words mean": sha256Of(canonical(operation)) };
  const { config, work, mounts } = operation;
  const env = [
    ...(config.Env ?? []),
    ...work.env.filter((line) => !work.hidden.includes(line.split("=", 1)[0] ?? "")),
  ];
  const variables = env.map((line) => {
    const [name = "", value = ""] = line.split(/=(.*)/s, 2);
    return [`variable ${name}`, sha256Of(value)] as const;
  });
  return {
    ...Object.fromEntries(variables),
    "what its mounts' words mean": sha256Of(canonical(mounts)),
    "the user": config.User ?? "",
    "the working directory": config.WorkingDir ?? "",
  };
}
