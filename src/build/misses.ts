/**
 * Why a step was done again: what it reads against what it read the last time it was done.
 * Owns: the record of the last reading of each step. A step is the same one when its instruction is, in a stage of the same name.
 */
import type { Records, Table } from "#store/records.ts";
import type { StepResult } from "./build-cache.ts";
import { type BuildNode, canonical, sha256Of } from "./graph.ts";
import type { PreparedWork } from "./node-work.ts";

/** One step that was not taken from the cache. */
export interface Miss {
  readonly step: string;
  /** What changed since it was last done; empty when nothing did and its result was pruned. */
  readonly changed: readonly string[];
  /** It was never done before. */
  readonly first: boolean;
  /** The build was told not to use the cache. */
  readonly refused: boolean;
}

interface LastReading {
  readonly reads: Readonly<Record<string, string>>;
  readonly operation: Readonly<Record<string, string>>;
  readonly below: string;
}

export class MissRecords {
  readonly table: Table<LastReading>;

  constructor(records: Records) {
    this.table = records.table("build-readings");
  }
}

/** The steps done in one build. */
export class Misses {
  readonly #records: MissRecords;
  readonly #scope: string;
  readonly list: Miss[] = [];

  /** `scope`: builds whose steps are the same ones: a Dockerfile's name and the context's. */
  constructor(records: MissRecords, scope: string) {
    this.#records = records;
    this.#scope = scope;
  }

  note(node: BuildNode, prepared: PreparedWork, root: StepResult): void {
    const key = sha256Of(canonical([this.#scope, node.name.replace(/ *\d+\/\d+\]/, "]")]));
    const now: LastReading = {
      reads: prepared.reads,
      operation: shownOperation(node),
      below: root.chainId ?? "",
    };
    const before = this.#records.table.get(key);
    this.#records.table.put(key, now);
    this.list.push({
      step: node.name,
      changed: before === undefined ? [] : differences(before, now),
      first: before === undefined,
      refused: !node.useCache,
    });
  }
}

/** Pure. */
export function differences(before: LastReading, now: LastReading): string[] {
  return [
    ...(before.below === now.below ? [] : ["the step before it, or the base image"]),
    ...changedKeys(before.operation, now.operation),
    ...changedKeys(before.reads, now.reads).map((name) => (name === "" ? "the context" : name)),
  ];
}

function changedKeys(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return names.filter((name) => before[name] !== now[name]);
}

/** What of the instruction may differ though it is the same one: its variables, its directory, its user. */
function shownOperation({ operation }: BuildNode): Record<string, string> {
  if (operation.kind !== "run") return {};
  const { config, work } = operation;
  const env = [
    ...(config.Env ?? []),
    ...work.env.filter((line) => !work.hidden.includes(line.split("=", 1)[0] ?? "")),
  ];
  const variables = env.map((line) => {
    const [name = "", value = ""] = line.split(/=(.*)/s, 2);
    return [`variable ${name}`, sha256Of(value)] as const;
  });
  return { ...Object.fromEntries(variables), user: config.User ?? "", workdir: config.WorkingDir ?? "" };
}
