/**
 * Parts of volumes, made ready as mounts of their own: what the runtime is given is then a path that no container can
 * lead elsewhere. Owns: `<root>/<user>/<number>`. Promises: a user's directory is there before anything is mounted in it.
 */
import { closeSync, openSync, readdirSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { closeDescriptor, descriptorPath, statDescriptor } from "#kernel/files-at.ts";
import { mountBind, mountsBeneath, unmount } from "#kernel/mount.ts";
import { openPart } from "./volume-part.ts";

const directoryBits = 0o040000;
const kindBits = 0o170000;

export class PreparedMounts {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Where a user's mount of that number is. */
  path(user: string, number: number): string {
    return join(this.#root, user, String(number));
  }

  /** Shows what `subpath` leads to within `source`, a file or a directory. @throws Fault in dockerd's words. */
  async part(source: string, subpath: string, place: { user: string; number: number }): Promise<string> {
    const target = this.path(place.user, place.number);
    const fd = openPart(source, subpath);
    try {
      await mkdir(join(this.#root, place.user), { recursive: true, mode: 0o700 });
      const isDirectory = (statDescriptor(fd).mode & kindBits) === directoryBits;
      if (isDirectory) await mkdir(target, { recursive: true });
      else closeSync(openSync(target, "a"));
      mountBind(descriptorPath(fd), target, { recursive: true });
    } finally {
      closeDescriptor(fd);
    }
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
