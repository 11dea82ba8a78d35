/**
 * Compiled filters of system calls. Compiling takes crun longer than everything else in a start together, and containers
 * mostly have the same few filters: what crun compiled once is handed to it with the next.
 * Owns: one file per filter, until the next boot: kernel, machine and runtime stay the same as long as these.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { OciSeccomp } from "#spec/oci-runtime.ts";
import type { LowLevel } from "./low-level.ts";

/** crun takes a filter as it is, in base64, in place of compiling the one in the specification. */
const annotation = "run.oci.seccomp_bpf_data";
/** Where crun keeps a container's compiled filter, for execs. */
const compiledName = "seccomp.bpf";
/** Filters remembered; more than a machine has kinds of containers. */
const rememberedMax = 64;

export class SeccompCache {
  readonly #directory: string;
  readonly #runtime: LowLevel;
  readonly #compiled = new Map<string, string>();

  constructor(directory: string, runtime: LowLevel) {
    this.#directory = directory;
    this.#runtime = runtime;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** What to add to the specification of a container with this filter. */
  annotations(seccomp: OciSeccomp | undefined): Readonly<Record<string, string>> {
    if (seccomp === undefined || this.#runtime.name !== "crun") return {};
    const key = this.#key(seccomp);
    const known = this.#compiled.get(key) ?? this.#read(key);
    if (known === undefined) return {};
    this.#remember(key, known);
    return { [annotation]: known };
  }

  #key(seccomp: OciSeccomp): string {
    return createHash("sha256")
      .update(`${this.#runtime.version}\n${JSON.stringify(seccomp)}`)
      .digest("hex");
  }

  #read(key: string): string | undefined {
    try {
      return readFileSync(join(this.#directory, key), "latin1");
    } catch {
      return undefined;
    }
  }

  #remember(key: string, compiled: string): void {
    if (this.#compiled.size >= rememberedMax) this.#compiled.clear();
    this.#compiled.set(key, compiled);
  }

  /** Takes the filter that crun compiled for a container it just created. A failure to do so costs only time. */
  async learn(seccomp: OciSeccomp | undefined, containerId: string): Promise<void> {
    if (seccomp === undefined || this.#runtime.name !== "crun") return;
    const key = this.#key(seccomp);
    if (this.#compiled.has(key)) return;
    try {
      const bytes = await readFile(join(this.#runtime.root, containerId, compiledName));
      if (bytes.length === 0) return;
      const text = bytes.toString("base64");
      const path = join(this.#directory, key);
      await writeFile(`${path}.${containerId}`, text, { mode: 0o600 });
      await rename(`${path}.${containerId}`, path);
      this.#remember(key, text);
    } catch {
      // The next one is compiled again.
    }
  }
}
