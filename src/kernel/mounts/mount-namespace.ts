/**
 * Mount namespaces for others to run in (mount_namespaces(7)).
 * Promises: the calling thread is back in its own namespace when a call returns or throws. Never: awaits in between.
 */
import { FFIType } from "bun:ffi";
import { openSync } from "node:fs";
import { dirname } from "node:path";
import { closeDescriptor } from "#kernel/files/files-at.ts";
import { check, Errno, errno, libc } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";
import { setPropagation, unmount } from "./mount.ts";

const c = libc({
  unshare: { args: [FFIType.i32], returns: FFIType.i32 },
  setns: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});

const newMounts = 0x20000;
const ownDirectories = 0x200;
/** A thread would have to begin between two system calls that often. */
const returnsMost = 100;
const ownNamespace = "/proc/thread-self/ns/mnt";

/** A namespace that lives for as long as this is not disposed, or something runs in it. Disposing twice is no error. */
export interface MountView extends Disposable {
  /** What to enter: a path for nsenter(1), valid in every process of the same pid namespace. */
  readonly path: string;
}

/**
 * The mounts as they are now, without the one at `target`. Whatever propagates goes on doing so, but for the mount that
 * `target` lies in.
 * @throws Errno, or Fault `invalid` when `target` is no mount.
 */
export function viewWithout(target: string): MountView {
  const directory = process.cwd();
  const own = openSync(ownNamespace, "r");
  try {
    check(c.unshare(newMounts), () => "make a mount namespace");
    try {
      setPropagation(dirname(target), "private");
      if (!unmount(target, { detach: true })) throw new Fault("invalid", `${target} is no mount`);
      const fd = openSync(ownNamespace, "r");
      const stack = new DisposableStack();
      stack.defer(() => closeDescriptor(fd));
      return { path: `/proc/${process.pid}/fd/${fd}`, [Symbol.dispose]: () => stack.dispose() };
    } finally {
      returnTo(own);
      // Entering a mount namespace leads to its root directory.
      process.chdir(directory);
    }
  } finally {
    closeDescriptor(own);
  }
}

/**
 * Who shares root and working directory with another thread may not enter a mount namespace (setns(2)), and the engine's
 * own threads begin when they like, with this one's: they are parted from again just before.
 */
function returnTo(own: number): void {
  for (let attempt = 1; ; attempt++) {
    check(c.unshare(ownDirectories), () => "have directories of one's own");
    if (c.setns(own, newMounts) === 0) return;
    const failure = new Errno(errno(), "return to the engine's mount namespace");
    if (failure.code !== "EINVAL" || attempt === returnsMost) throw failure;
  }
}
