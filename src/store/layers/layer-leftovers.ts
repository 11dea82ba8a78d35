/**
 * What is on disk of layers that no record speaks of: left by an engine that died, or put there by somebody else.
 * Owns: saying what that is, and taking it away.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, renameSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { encodedDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { discardTree } from "#store/discard.ts";
import type { LayerIndex } from "./layer-records.ts";
import type { WritableMounts } from "./writable-mounts.ts";

/** An overlay needs at least one layer below; scratch has none of its own. */
export const scratch = "scratch";
/** Where a writable layer is mounted, in its directory. */
export const merged = "merged";

/** A new place for what is being made or taken away. */
export function incomingPath(root: string): string {
  return join(root, "incoming", randomBytes(12).toString("hex"));
}

export function leftOver(what: string, cause: unknown): Fault {
  const message = `${what} is left over and cannot be removed: ${Fault.from(cause).message}`;
  return new Fault("unavailable", message, { cause });
}

export class LayerLeftovers {
  readonly #root: string;
  readonly #index: LayerIndex;
  readonly #mounts: WritableMounts;

  constructor(root: string, index: LayerIndex, mounts: WritableMounts) {
    this.#root = root;
    this.#index = index;
    this.#mounts = mounts;
  }

  /** Directories that no record speaks of; while the engine runs there are none but for tampering. */
  strays(): string[] {
    const layers = this.#layers();
    const writables = this.#writables();
    const among = (kind: string, known: (name: string) => boolean): string[] =>
      readdirSync(join(this.#root, kind))
        .filter((name) => !known(name))
        .map((name) => join(this.#root, kind, name));
    return [
      ...among("layers", (name) => layers.has(name)),
      ...among("skeletons", (name) => layers.has(name) || name === scratch),
      ...among("writable", (name) => writables.has(name)),
    ];
  }

  /** One of `strays`. Idempotent. */
  async removeStray(path: string): Promise<void> {
    if (!this.strays().includes(path)) return;
    this.#mounts.unmountStray(join(path, merged));
    const doomed = incomingPath(this.#root);
    renameSync(path, doomed);
    await discardTree(doomed);
  }

  /** At the start. What cannot be taken away is told, and tried again the next time: it must not keep the engine from starting. */
  async sweep(removeWritable: (id: string) => Promise<void>, report: (fault: Fault) => void): Promise<void> {
    const told = async (what: string, work: () => Promise<void>): Promise<void> =>
      await work().catch((cause: unknown) => report(leftOver(what, cause)));
    const writables = this.#writables();
    for (const id of await readdir(join(this.#root, "writable")))
      if (!writables.has(id)) await told(join(this.#root, "writable", id), () => removeWritable(id));
    const layers = this.#layers();
    for (const kind of ["layers", "skeletons"])
      for (const name of readdirSync(join(this.#root, kind)))
        if (!layers.has(name) && name !== scratch)
          renameSync(join(this.#root, kind, name), incomingPath(this.#root));
    for (const kind of ["incoming", "outgoing"])
      for (const name of readdirSync(join(this.#root, kind))) {
        const path = join(this.#root, kind, name);
        await told(path, async () => await discardTree(path));
      }
  }

  #layers(): ReadonlySet<string> {
    return new Set(this.#index.list().map(({ chainId }) => encodedDigest(chainId)));
  }

  #writables(): ReadonlySet<string> {
    return new Set(this.#index.writables().map(({ id }) => id));
  }
}
