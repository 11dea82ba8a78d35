/** Volumes that are directories below one root, or what their options say is mounted there while somebody has them. */
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { exchangePaths } from "#kernel/exchange.ts";
import { mountsBeneath, unmount } from "#kernel/mount.ts";
import { Turns } from "#store/turns.ts";
import { mountLocal } from "./local-mount.ts";
import { checkLocalOptions, localMount } from "./local-options.ts";
import type { DrivenVolume, VolumeDriver } from "./volume-driver.ts";

/** Beside `_data`, while new files are put together. */
const nextData = "_data.next";

export class LocalDriver implements VolumeDriver {
  readonly name = "local";
  readonly scope = "local";
  readonly #root: string;
  /** Who has a volume that is more than a directory, by its name. */
  readonly #users = new Map<string, Set<string>>();
  /** What an engine before this one mounted, and what this one did. */
  readonly #mounted: Set<string>;
  readonly #turns = new Turns();

  constructor(root: string) {
    this.#root = root;
    this.#mounted = new Set(mountsBeneath(root).map(({ target }) => target));
  }

  /** Takes away what was being put together when an engine died. */
  async open(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o701 });
    for (const name of await this.directories())
      await rm(join(this.#root, name, nextData), { recursive: true, force: true });
  }

  /** The volume's files become those that `fill` puts into a new directory: all of them, or they stay as they were. */
  async replace(name: string, fill: (directory: string) => Promise<void>): Promise<void> {
    const next = join(this.#root, name, nextData);
    await this.#turns.take(name, async () => {
      await rm(next, { recursive: true, force: true });
      await mkdir(next, { mode: 0o755 });
      try {
        await fill(next);
        exchangePaths(next, this.place(name));
      } finally {
        await rm(next, { recursive: true, force: true });
      }
    });
  }

  /** A directory of the same files with another name. Idempotent: what was moved before stays. */
  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [join(this.#root, from), join(this.#root, to)];
    if (existsSync(source) && !existsSync(target)) await rename(source, target);
  }

  check(options: Readonly<Record<string, string>>): void {
    checkLocalOptions(options);
  }

  async create(name: string): Promise<void> {
    await mkdir(join(this.#root, name), { recursive: true, mode: 0o701 });
    await mkdir(this.place(name), { recursive: true, mode: 0o755 });
  }

  /** Names of what is there; what begins with a point is no volume's. */
  async directories(): Promise<string[]> {
    return (await readdir(this.#root)).filter((name) => !name.startsWith("."));
  }

  /** Its directory shows its own files alone, and may be moved. Idempotent. @throws Errno while somebody looks in. */
  letGo({ name }: Pick<DrivenVolume, "name">): void {
    const path = this.place(name);
    if (!this.#mounted.has(path)) return;
    unmount(path);
    this.#mounted.delete(path);
  }

  place(name: string): string {
    return join(this.#root, name, "_data");
  }

  async mount(volume: DrivenVolume, user: string, signal: AbortSignal): Promise<string> {
    const { name, mountpoint, options } = volume;
    const asked = localMount(options);
    if (asked === undefined) return mountpoint;
    await this.#turns.take(name, async () => {
      if (!this.#mounted.has(mountpoint)) await mountLocal(asked, mountpoint, signal);
      this.#mounted.add(mountpoint);
      this.#users.set(name, (this.#users.get(name) ?? new Set()).add(user));
    });
    return mountpoint;
  }

  async unmount({ name, mountpoint, options }: DrivenVolume, user: string): Promise<void> {
    if (localMount(options) === undefined) return;
    await this.#turns.take(name, async () => {
      const users = this.#users.get(name);
      users?.delete(user);
      if (users !== undefined && users.size > 0) return;
      this.#users.delete(name);
      // Whoever still looks in goes on seeing it.
      if (this.#mounted.delete(mountpoint)) unmount(mountpoint, { detach: true });
    });
  }

  /** What an engine that died left mounted and nobody has. */
  sweep(): void {
    const held = new Set([...this.#users.keys()].map((name) => this.place(name)));
    for (const target of this.#mounted)
      if (!held.has(target)) {
        unmount(target, { detach: true });
        this.#mounted.delete(target);
      }
  }
}
