/**
 * Parts of volumes, and volumes with other owners, made ready as mounts of their own: what the runtime is given is then a
 * path that no container can lead elsewhere. Owns: `<root>/<user>/<number>.<kind>`. Promises: a user's directory is there before anything is mounted in it.
 */
import { closeSync, openSync, readdirSync, statSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { closeDescriptor, descriptorPath, statDescriptor } from "#kernel/files/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import { type IdMap, mountIdMapped } from "#kernel/mounts/idmapped-mount.ts";
import { mountBind, mountsBeneath, unmount } from "#kernel/mounts/mount.ts";
import { Fault } from "#spec/fault.ts";
import { openPart } from "./volume-part.ts";

const directoryBits = 0o040000;
const kindBits = 0o170000;

/** Whose mount it is, and which of them. */
export interface Place {
  readonly user: string;
  readonly number: number;
}

export class PreparedMounts {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Shows what `subpath` leads to within `source`, a file or a directory. @throws Fault in dockerd's words. */
  async part(source: string, subpath: string, place: Place): Promise<string> {
    const fd = openPart(source, subpath);
    try {
      const target = await this.#target(
        place,
        "part",
        (statDescriptor(fd).mode & kindBits) === directoryBits,
      );
      mountBind(descriptorPath(fd), target, { recursive: true });
      return target;
    } finally {
      closeDescriptor(fd);
    }
  }

  /** Shows `source` with other owners. @throws Fault `unsupported` where its file system or the kernel cannot. */
  async mapped(source: string, map: IdMap, place: Place): Promise<string> {
    const target = await this.#target(place, "map", statSync(source).isDirectory());
    try {
      await mountIdMapped(source, target, map);
    } catch (cause) {
      if (!(cause instanceof Errno) || !["EINVAL", "ENOSYS"].includes(cause.code)) throw cause;
      const sentence = `idmap: the file system of ${source} or this kernel cannot show files with other owners`;
      throw new Fault("unsupported", sentence, { cause });
    }
    return target;
  }

  async #target({ user, number }: Place, kind: string, isDirectory: boolean): Promise<string> {
    await mkdir(join(this.#root, user), { recursive: true, mode: 0o700 });
    const target = join(this.#root, user, `${number}.${kind}`);
    if (isDirectory) await mkdir(target, { recursive: true });
    else closeSync(openSync(target, "a"));
    return target;
  }

  /** Idempotent. */
  async release(user: string): Promise<void> {
    const directory = join(this.#root, user);
    for (const { target } of mountsBeneath(directory).toReversed()) unmount(target, { detach: true });
    await rm(directory, { recursive: true, force: true });
  }

  users(): string[] {
    try {
      return readdirSync(this.#root);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw error;
    }
  }
}
