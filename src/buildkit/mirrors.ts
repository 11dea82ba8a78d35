/**
 * The copies of clients' directories that are kept between builds, so that only what changed is sent again.
 * Owns: one directory. Promises: a copy has one user at a time, who finds it as the last one left it; the least used are
 * removed beyond `mirrorsMax`, and beyond the bytes they may have. Never: outlives damage: what is not whole at the start is removed.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { LocalContext } from "#build/build-client.ts";
import { spreadChildren } from "#kernel/files/spread.ts";
import { Mirror } from "./mirror.ts";
import { type MirrorAbout, readAbout } from "./mirror-index.ts";

/** Kept when nobody uses them. */
export const mirrorsMax = 32;

export interface KeptMirror extends MirrorAbout {
  readonly id: string;
  readonly inUse: boolean;
}

export class Mirrors {
  readonly root: string;
  readonly #now: () => number;
  readonly #bytesMax: number;
  readonly #idle = new Map<string, MirrorAbout>();
  readonly #busy = new Map<string, MirrorAbout | undefined>();

  private constructor(root: string, now: () => number, bytesMax: number) {
    this.root = root;
    this.#now = now;
    this.#bytesMax = bytesMax;
  }

  /** Makes the directory when it is not there. */
  static open(root: string, now: () => number, bytesMax = Number.POSITIVE_INFINITY): Mirrors {
    const mirrors = new Mirrors(root, now, bytesMax);
    mkdirSync(root, { recursive: true, mode: 0o700 });
    spreadChildren(root);
    for (const id of readdirSync(root)) {
      const about = readAbout(join(root, id));
      if (about === undefined) rmSync(join(root, id), { recursive: true, force: true });
      else mirrors.#idle.set(id, about);
    }
    return mirrors;
  }

  /** Of all of them. */
  get sizeBytes(): number {
    return this.list().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  list(): KeptMirror[] {
    const rows = (from: ReadonlyMap<string, MirrorAbout | undefined>, inUse: boolean): KeptMirror[] =>
      [...from].flatMap(([id, about]) => (about === undefined ? [] : [{ ...about, id, inUse }]));
    return [...rows(this.#idle, false), ...rows(this.#busy, true)];
  }

  /** False when it is in use, or not there. */
  async remove(id: string): Promise<boolean> {
    if (!this.#idle.delete(id)) return false;
    await rm(join(this.root, id), { recursive: true, force: true });
    return true;
  }

  /**
   * Brings a copy up to date by `sync` and lends it. When that fails the copy is removed.
   * @param key equal for contexts that are probably the same directory.
   */
  async lend(key: string, name: string, sync: (mirror: Mirror) => Promise<void>): Promise<LocalContext> {
    const [id, known] = this.#take(key);
    const root = join(this.root, id);
    const usedMs = this.#now();
    try {
      const mirror = await Mirror.open(root);
      await sync(mirror);
      const { createdMs, uses } = known ?? { createdMs: usedMs, uses: 0 };
      const about = await mirror.finish({ key, name, createdMs, usedMs, uses: uses + 1 });
      this.#busy.set(id, about);
      const giveBack = async (): Promise<void> => {
        if (!this.#busy.delete(id)) return;
        this.#idle.set(id, about);
        await this.#trim();
      };
      const contentHash = (path: string) => mirror.contentHash(path);
      return { directory: mirror.directory, contentHash, [Symbol.asyncDispose]: giveBack };
    } catch (thrown) {
      this.#busy.delete(id);
      await rm(root, { recursive: true, force: true });
      throw thrown;
    }
  }

  /** The copy of that key used last, or a new one. */
  #take(key: string): [id: string, about: MirrorAbout | undefined] {
    const found = [...this.#idle]
      .filter(([, about]) => about.key === key)
      .sort(([, left], [, right]) => right.usedMs - left.usedMs)[0];
    const [id, about] = found ?? [randomBytes(12).toString("hex"), undefined];
    this.#idle.delete(id);
    this.#busy.set(id, about);
    return [id, about];
  }

  async #trim(): Promise<void> {
    const oldest = [...this.#idle].sort(([, left], [, right]) => left.usedMs - right.usedMs);
    for (const [at, [id]] of oldest.entries())
      if (oldest.length - at > mirrorsMax || this.sizeBytes > this.#bytesMax) await this.remove(id);
  }
}
