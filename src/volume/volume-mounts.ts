/**
 * The mounts of a container, from what was decided to what the runtime is given, and back.
 * Promises: what fails gives back what it had; giving back is idempotent, and needs nothing but the container's id and
 * its mounts, so that a later engine can do it.
 */
import { realpathSync, statSync } from "node:fs";
import { Beneath } from "#kernel/files/beneath.ts";
import type { Tree } from "#kernel/files/tree.ts";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { mountRestrictions } from "#kernel/mounts/mount-flags.ts";
import type { MountPoint, ReadyMount } from "#spec/container.ts";
import { Turns } from "#store/turns.ts";
import { checkPropagation } from "./bind-propagation.ts";
import { checkSource } from "./bind-source.ts";
import { copyUp } from "./copy-up.ts";
import { idMapOf, type Owner } from "./id-map.ts";
import type { PreparedMounts } from "./prepared-mounts.ts";
import type { DrivenVolume, VolumeDriver } from "./volume-driver.ts";

export interface VolumeMountsParts {
  readonly prepared: PreparedMounts;
  /** Undefined for a volume that is not there any more. @throws Fault `not-found` without its driver. */
  readonly find: (name: string) => Promise<{ volume: DrivenVolume; driver: VolumeDriver } | undefined>;
  /** A driver said where a volume is now. */
  readonly moved: (name: string, path: string) => void;
}

export interface MountRequestOptions {
  readonly rootfs: string;
  /** At the first start: empty volumes get what the image has at their places. */
  readonly first: boolean;
  /** The container's user, by the files in its root. */
  readonly userOf: (root: Tree) => Owner;
  readonly signal: AbortSignal;
}

export class VolumeMounts {
  readonly #parts: VolumeMountsParts;
  /** Who has a volume, by its name. */
  readonly #having = new Map<string, Set<string>>();
  readonly #filling = new Turns();

  constructor(parts: VolumeMountsParts) {
    this.#parts = parts;
  }

  /** The same mounts, each with the path that the runtime mounts. @throws Fault in dockerd's words. */
  async mount(user: string, mounts: readonly MountPoint[], o: MountRequestOptions): Promise<ReadyMount[]> {
    const ready: ReadyMount[] = [];
    try {
      for (const [number, mount] of mounts.entries()) {
        const source = await this.#source(user, number, mount, o);
        const restrictions = mount.type === "tmpfs" ? [] : mountRestrictions(source);
        const single = mount.type !== "tmpfs" && !statSync(source).isDirectory();
        ready.push({ ...mount, source, restrictions, ...(single && { single }) });
        if (mount.type === "volume" && mount.copyUp && o.first) await this.#copyUp(user, mount, source, o);
      }
    } catch (error) {
      await this.unmount(user, mounts);
      throw error;
    }
    return ready;
  }

  /** One at a time for each volume: the second finds it filled. */
  async #copyUp(user: string, mount: MountPoint, source: string, o: MountRequestOptions): Promise<void> {
    const { name = "", destination } = mount;
    const alone = (): boolean =>
      this.#having.get(name)?.size === 1 && this.#having.get(name)?.has(user) === true;
    await this.#filling.take(name, async () => {
      const found = await this.#parts.find(name);
      const whole = found !== undefined && found.volume.mountpoint === source;
      const replace = async (fill: (directory: string) => Promise<void>) =>
        (await found?.driver.replace?.(found.volume, fill, { intoEmpty: { alone } })) === true;
      const how = { signal: o.signal, alone, ...(whole && alone() && { replace }) };
      await copyUp(o.rootfs, destination, source, how);
    });
  }

  async #source(user: string, number: number, mount: MountPoint, o: MountRequestOptions): Promise<string> {
    if (mount.type === "bind") {
      await checkSource(mount.source, mount.createSource === true);
      if (/shared|slave/.test(mount.propagation))
        checkPropagation(realpathSync(mount.source), mount.propagation, mountsBeneath("/"));
    }
    const whole = mount.type === "volume" ? await this.#attach(user, mount, o.signal) : mount.source;
    const place = { user, number };
    const { prepared } = this.#parts;
    const shown = mount.subpath === undefined ? whole : await prepared.part(whole, mount.subpath, place);
    if (mount.idMap === undefined) return shown;
    using root = Beneath.open(o.rootfs);
    return await prepared.mapped(shown, idMapOf(mount.idMap, ownerOf(shown), o.userOf(root)), place);
  }

  async #attach(user: string, { name, source }: MountPoint, signal: AbortSignal): Promise<string> {
    const found = name === undefined ? undefined : await this.#parts.find(name);
    if (name === undefined || found === undefined) return source;
    // Before anything is waited for: whoever fills the volume is not alone from now on.
    this.#having.set(name, (this.#having.get(name) ?? new Set()).add(user));
    const path = await found.driver.mount(found.volume, user, signal);
    if (path !== found.volume.mountpoint) this.#parts.moved(found.volume.name, path);
    return path;
  }

  /** For a container that was found running, or to look in: each volume as a whole where it is now. */
  async hold(user: string, mounts: readonly MountPoint[], signal: AbortSignal): Promise<MountPoint[]> {
    const held: MountPoint[] = [];
    for (const mount of mounts)
      held.push(
        mount.type === "volume" ? { ...mount, source: await this.#attach(user, mount, signal) } : mount,
      );
    return held;
  }

  /** Idempotent; the first failure is thrown after all were tried. */
  async unmount(user: string, mounts: readonly MountPoint[]): Promise<void> {
    await using stack = new AsyncDisposableStack();
    for (const { name } of mounts) {
      if (name === undefined) continue;
      stack.defer(async () => {
        this.#leave(user, name);
        const found = await this.#parts.find(name);
        await found?.driver.unmount(found.volume, user);
      });
    }
    if (mounts.some(({ subpath, idMap }) => subpath !== undefined || idMap !== undefined))
      stack.defer(async () => await this.#parts.prepared.release(user));
  }

  #leave(user: string, name: string): void {
    const users = this.#having.get(name);
    if (users?.delete(user) === true && users.size === 0) this.#having.delete(name);
  }

  /** What an engine that died left ready for containers that do not run. */
  async sweep(running: ReadonlySet<string>): Promise<void> {
    for (const user of this.#parts.prepared.users())
      if (!running.has(user)) await this.#parts.prepared.release(user);
  }
}

function ownerOf(path: string): Owner {
  const { uid, gid } = statSync(path);
  return { uid, gid };
}
