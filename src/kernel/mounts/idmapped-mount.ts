/**
 * A tree shown with other owners than it has on disk (mount_setattr(2), MOUNT_ATTR_IDMAP; Linux 5.12, by file system).
 * Promises: what is written through the mount gets the owners of the disk. Nothing stays but the mount.
 */
import { FFIType, ptr } from "bun:ffi";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { bytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, openAt, openFlag } from "#kernel/files/files-at.ts";
import { check, libc, pinnedBuffer } from "#kernel/libc.ts";
import { attachMount, cloneMount } from "./mount.ts";

export interface IdRange {
  /** First id as it is on disk. */
  readonly disk: number;
  /** First id as it is shown. */
  readonly shown: number;
  readonly count: number;
}

export interface IdMap {
  /** Ids in no range are shown as nobody's, and cannot be written as. */
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

const { i64, i32 } = FFIType;
const c = libc({ syscall: { args: [i64, i64, i64, i64, i64, i64], returns: i32 } });
const mountSetattr = 442;
const [recursive, emptyPath] = [0x8000, 0x1000];
const idMapAttribute = 0x100000n;
const currentDirectory = -100;
/** `struct mount_attr`: what to set, what to clear, propagation, the descriptor of a user namespace. */
const attributes = pinnedBuffer(32);
/** A path without characters: the descriptor beside it is meant. */
const empty = pinnedBuffer(1);
const namespaceTries = 400;
const namespacePauseMs = 5;

/** Shows `source` at `target`. @throws Errno `EINVAL` when its file system cannot. */
export async function mountIdMapped(source: string, target: string, map: IdMap): Promise<void> {
  const namespace = await openUserNamespace(map);
  try {
    const mount = cloneMount(source, { recursive: true });
    try {
      attributes.fill(0);
      attributes.writeBigUInt64LE(idMapAttribute, 0);
      attributes.writeBigUInt64LE(BigInt(namespace), 24);
      check(
        c.syscall(mountSetattr, mount, ptr(empty), emptyPath | recursive, ptr(attributes), attributes.length),
        () => `map the owners of ${source}`,
      );
      attachMount(mount, target);
    } finally {
      closeDescriptor(mount);
    }
  } finally {
    closeDescriptor(namespace);
  }
}

/** Only a process can be in a user namespace from its beginning; it is needed until the namespace has its maps. */
async function openUserNamespace(map: IdMap): Promise<number> {
  const child = spawn("unshare", ["--user", "cat"], { stdio: ["pipe", "ignore", "ignore"] });
  const exited = once(child, "exit");
  try {
    await once(child, "spawn");
    const path = `/proc/${child.pid}/ns/user`;
    const own = readlinkSync("/proc/self/ns/user");
    for (let tries = 0; readlinkSync(path) === own; tries++) {
      if (tries === namespaceTries) throw new Error("unshare made no user namespace");
      await pause(namespacePauseMs);
    }
    await writeFile(`/proc/${child.pid}/uid_map`, lines(map.uids));
    await writeFile(`/proc/${child.pid}/gid_map`, lines(map.gids));
    return openAt(currentDirectory, bytePath(path), openFlag.read);
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}

function lines(ranges: readonly IdRange[]): string {
  return ranges.map(({ disk, shown, count }) => `${disk} ${shown} ${count}\n`).join("");
}
