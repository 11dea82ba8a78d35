/**
 * Why a step of the classic builder was done again, in the same records as BuildKit's.
 * Owns: what the steps of one build read. Its client says of its files no more than what the image is to be called: builds of
 * one Dockerfile under one name are compared.
 */
import { canonical, sha256Of } from "#build/request/graph.ts";
import {
  type BuildPlace,
  differences,
  type Miss,
  type MissRecords,
  type Reading,
} from "#build/solver/misses.ts";

export interface ClassicStep {
  /** As it is written, with its stage where there are several. */
  readonly name: string;
  /** What it stands on, in words, and the image's id. */
  readonly base: string;
  readonly below: string;
  readonly variables: readonly string[];
  /** All its words with variables in their places. */
  readonly meaning: unknown;
  /** Asked for at the end, and only when something was done again. */
  readonly reads: () => Readonly<Record<string, string>>;
}

export class ClassicMisses {
  readonly #records: MissRecords;
  readonly #about: BuildPlace;
  readonly #place: string;
  readonly #steps = new Map<string, ClassicStep>();
  readonly #done: { readonly key: string; readonly name: string; readonly refused: boolean }[] = [];

  constructor(records: MissRecords, about: BuildPlace) {
    this.#records = records;
    this.#about = about;
    this.#place = sha256Of(canonical({ ...about, classic: true }));
  }

  /** `outcome`: taken from the cache, done since the cache had none, or done because it was not to be asked. */
  step(step: ClassicStep, outcome: "cached" | "done" | "refused"): void {
    let key = step.name;
    for (let again = 2; this.#steps.has(key); again++) key = `${step.name} (${again})`;
    this.#steps.set(key, step);
    if (outcome !== "cached") this.#done.push({ key, name: step.name, refused: outcome === "refused" });
  }

  /** The build is over, well or not. */
  end(atMs: number): void {
    const about = { ...this.#about, atMs, steps: this.#steps.size, marks: {} };
    if (this.#done.length === 0) {
      this.#records.keep(this.#place, { ...about, misses: [] }, undefined);
      return;
    }
    const before = this.#records.readings(this.#place);
    const now = Object.fromEntries([...this.#steps].map(([key, step]) => [key, readingOf(step)]));
    const misses = this.#done.map(({ key, name, refused }): Miss => {
      const [old, own] = [before[key], now[key]];
      if (refused) return { step: name, kind: "refused", changes: [] };
      if (old === undefined || own === undefined) return { step: name, kind: "new", changes: [] };
      const changes = differences(old, own);
      return { step: name, kind: changes.length === 0 ? "gone" : "changed", changes };
    });
    // What a build that failed did not come to stays as it was.
    this.#records.keep(this.#place, { ...about, misses }, { ...before, ...now });
  }
}

function readingOf({ base, below, variables, meaning, reads }: ClassicStep): Reading {
  const named = variables.map((line) => {
    const [name = "", value = ""] = line.split(/=(.*)/s, 2);
    return [`variable ${name}`, sha256Of(value)] as const;
  });
  const operation = { ...Object.fromEntries(named), "what its words mean": sha256Of(canonical(meaning)) };
  return { base, below, operation, reads: reads() };
}
