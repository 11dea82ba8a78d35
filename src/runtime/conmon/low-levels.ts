/**
 * The low-level runtimes of this machine: the one that is used unless a container asks for another.
 * Owns: a state directory for each, so that neither reads the other's files.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CgroupLayout } from "#kernel/cgroups/cgroup.ts";
import { Fault } from "#spec/fault.ts";
import { findLowLevel, type LowLevel, type LowLevelName, openLowLevel, stateRoot } from "./low-level.ts";

/** What dockerd calls its default. */
const defaultAliases: ReadonlySet<string> = new Set(["", "io.containerd.runc.v2"]);

export class LowLevels implements Disposable {
  readonly preferred: LowLevel;
  readonly #opened: Map<string, Promise<LowLevel>>;
  readonly #open: (name: LowLevelName) => Promise<LowLevel>;
  readonly #rootOf: (name: LowLevelName) => string;

  private constructor(preferred: LowLevel, execRoot: string, cgroups: CgroupLayout) {
    this.preferred = preferred;
    this.#opened = new Map([[preferred.name, Promise.resolve(preferred)]]);
    this.#open = async (name) => await openLowLevel(name, execRoot, cgroups);
    this.#rootOf = (name) => stateRoot(execRoot, name);
  }

  /** @throws Fault `unavailable` that names what to install. */
  static async open(execRoot: string, cgroups: CgroupLayout): Promise<LowLevels> {
    return new LowLevels(await findLowLevel(execRoot, cgroups), execRoot, cgroups);
  }

  /** Opened when it is asked for first. @throws Fault `invalid` for a name nobody knows, `unavailable`. */
  async named(name = ""): Promise<LowLevel> {
    if (defaultAliases.has(name)) return this.preferred;
    if (!isLowLevelName(name)) throw new Fault("invalid", `unknown or invalid runtime name: ${name}`);
    const opening = this.#opened.get(name) ?? this.#open(name);
    this.#opened.set(name, opening);
    try {
      return await opening;
    } catch (thrown) {
      this.#opened.delete(name);
      throw thrown;
    }
  }

  /** The one that holds a container; the preferred one when none does. */
  async holderOf(id: string): Promise<LowLevel> {
    const name = names.find((each) => existsSync(join(this.#rootOf(each), id)));
    return await this.named(name);
  }

  /** Where each would keep its state of a container. */
  stateDirectories(id: string): string[] {
    return names.map((name) => join(this.#rootOf(name), id));
  }

  [Symbol.dispose](): void {
    for (const opening of this.#opened.values())
      opening.then((each) => each[Symbol.dispose]()).catch(() => undefined);
    this.preferred[Symbol.dispose]();
  }
}

const names: readonly LowLevelName[] = ["crun", "runc"];

function isLowLevelName(name: string): name is LowLevelName {
  return names.some((each) => each === name);
}

/** Those that are installed. */
export function installedLowLevels(): LowLevelName[] {
  return names.filter((name) => Bun.which(name) !== null);
}
