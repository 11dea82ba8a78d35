/** Volumes that are directories below one root, or what their options say is mounted there while somebody has them. */
import { existsSync, readdirSync } from "node:fs";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join, relative } from "node:path";
import { exchangePaths } from "#kernel/files/exchange.ts";
import {
  isLimited,
  keepsProjectQuotas,
  limitDirectory,
  unlimitDirectory,
} from "#kernel/files/project-quota.ts";
import { mountsBeneath, unmount } from "#kernel/mounts/mount.ts";
import { Fault } from "#spec/fault.ts";
import { discardTree } from "#store/discard.ts";
import { Turns } from "#store/turns.ts";
import { mountLocal } from "./local-mount.ts";
import { checkLocalOptions, localMount, sizeLimit } from "./local-options.ts";
import type { DrivenVolume, VolumeDriver } from "./volume-driver.ts";

/** Beside `_data`, while new files are put together. */
const nextData = "_data.next";

async function discardLimited(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  unlimitDirectory(directory);
  await discardTree(directory);
}

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
    for (const name of await this.directories()) await discardLimited(join(this.#root, name, nextData));
  }

  /** See `VolumeDriver`. Never for one that is more than a directory. */
  async replace(
    volume: DrivenVolume,
    fill: (directory: string) => Promise<void>,
    o?: { readonly intoEmpty: { readonly alone: () => boolean } },
  ): Promise<boolean> {
    const { name, options } = volume;
    if (localMount(options) !== undefined) return false;
    const next = join(this.#root, name, nextData);
    const place = this.place(name);
    return await this.#turns.take(name, async () => {
      await discardLimited(next);
      await mkdir(next, { mode: 0o755 });
      try {
        this.#limit(next, volume);
        await fill(next);
        if (o?.intoEmpty.alone() === false) return false;
        exchangePaths(next, place);
        if (o === undefined || readdirSync(next).length === 0) return true;
        // Somebody wrote there meanwhile.
        exchangePaths(next, place);
        return false;
      } finally {
        await discardLimited(next);
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
    if (sizeLimit(options) === undefined || keepsProjectQuotas(this.#root)) return;
    throw new Fault(
      "invalid",
      `quota size requested but no quota support: put ${this.#root} on ext4 or xfs mounted with prjquota`,
    );
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    await mkdir(join(this.#root, name), { recursive: true, mode: 0o701 });
    await mkdir(this.place(name), { recursive: true, mode: 0o755 });
    this.#limit(this.place(name), { name, options });
  }

  /** Keeps a new directory within the volume's size. Idempotent, so that it can be made up for after a crash. */
  #limit(directory: string, { name, options }: Pick<DrivenVolume, "name" | "options">): void {
    const bytes = sizeLimit(options);
    if (bytes !== undefined && !isLimited(directory)) limitDirectory(directory, bytes, name);
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

  /** Whether something is mounted over a volume, or beneath it, that no user of it asked for. */
  async strayMount(target: string, o: { readonly unmount: boolean }): Promise<boolean> {
    const [name = ""] = relative(this.#root, target).split("/");
    return await this.#turns.take(name, async () => {
      if (this.#mounted.has(target) || mountsBeneath(target).length === 0) return false;
      if (o.unmount) unmount(target, { detach: true });
      return true;
    });
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
