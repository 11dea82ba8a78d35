/**
 * Trees on their way out: gone from their place at once, from the disk behind the back of who removed them.
 * Owns: the directory they are moved to; what a crash leaves in it, the next start takes away.
 * Promises: whoever removes because the disk is full finds room afterwards; a bounded number waits.
 */
import { randomBytes } from "node:crypto";
import { renameSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { discardTree } from "./discard.ts";

/** Trees in wait at once: who removes another waits until it is gone. */
const waitingMax = 64;
/** The part of the disk below which room is what a removal is for. */
const tightPart = 1 / 16;

export class Outgoing {
  readonly #directory: string;
  readonly #failed: (path: string, thrown: unknown) => void;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  /** `directory` exists, on the file system of what goes; `failed` is told what cannot be taken away. */
  constructor(directory: string, failed: (path: string, thrown: unknown) => void) {
    this.#directory = directory;
    this.#failed = failed;
  }

  /** Moves a tree out of the way. Resolves before it is off the disk, unless the disk is nearly full. @throws When it cannot be moved. */
  async take(path: string): Promise<void> {
    const doomed = join(this.#directory, randomBytes(12).toString("hex"));
    renameSync(path, doomed);
    this.#waiting++;
    this.#last = this.#last
      .then(async () => await discardTree(doomed))
      .catch((thrown: unknown) => this.#failed(doomed, thrown))
      .finally(() => this.#waiting--);
    if (this.#waiting > waitingMax || (await this.#isTight())) await this.#last;
  }

  /** Resolves when all that was taken so far is off the disk. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #isTight(): Promise<boolean> {
    const { bavail, blocks, ffree, files } = await statfs(this.#directory);
    return bavail < blocks * tightPart || (files > 0 && ffree < files * tightPart);
  }
}
