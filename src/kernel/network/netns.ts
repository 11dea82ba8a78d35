/**
 * Network namespaces that live in files (network_namespaces(7)).
 * Promises: the calling thread is back in its own namespace when a call returns or throws. Never: awaits inside another
 * namespace; everything here is synchronous.
 */
import { FFIType } from "bun:ffi";
import { closeSync, openSync, unlinkSync, writeFileSync } from "node:fs";
import { check, libc } from "#kernel/libc.ts";
import { mountBind, unmount } from "#kernel/mounts/mount.ts";

const c = libc({
  unshare: { args: [FFIType.i32], returns: FFIType.i32 },
  setns: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});

const newNetwork = 0x40000000;
/** The main thread's own: what /proc/self/ns/net shows is the same, since everything here runs on it. */
const ownNamespace = "/proc/thread-self/ns/net";

/** Makes a namespace and keeps it in the file `path`, which must not exist; `inside` runs in it first. */
export function makeNamespace(path: string, inside: () => void): void {
  const own = openSync(ownNamespace, "r");
  try {
    writeFileSync(path, "", { flag: "wx", mode: 0o444 });
    try {
      check(c.unshare(newNetwork), () => "make a network namespace");
      try {
        mountBind(ownNamespace, path);
        inside();
      } finally {
        check(c.setns(own, newNetwork), () => "return to the engine's network namespace");
      }
    } catch (error) {
      removeNamespace(path);
      throw error;
    }
  } finally {
    closeSync(own);
  }
}

/** Runs `work` in the namespace that `path` leads to. `work` must not be asynchronous. */
export function inNamespace<R>(path: string, work: () => R): R {
  const own = openSync(ownNamespace, "r");
  try {
    const target = openSync(path, "r");
    try {
      check(c.setns(target, newNetwork), () => `enter the network namespace ${path}`);
    } finally {
      closeSync(target);
    }
    try {
      return work();
    } finally {
      check(c.setns(own, newNetwork), () => "return to the engine's network namespace");
    }
  } finally {
    closeSync(own);
  }
}

/** Lets go of a namespace; it ends with the last process in it. Idempotent. */
export function removeNamespace(path: string): void {
  unmount(path, { detach: true });
  try {
    unlinkSync(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

/**
 * Puts the calling thread into a namespace until disposed: for a program that lives in it, such as a test with a host of
 * its own.
 */
export function stayInNamespace(path: string): Disposable {
  const own = openSync(ownNamespace, "r");
  const target = openSync(path, "r");
  try {
    check(c.setns(target, newNetwork), () => `enter the network namespace ${path}`);
  } finally {
    closeSync(target);
  }
  return {
    [Symbol.dispose]: () => {
      check(c.setns(own, newNetwork), () => "return to the first network namespace");
      closeSync(own);
    },
  };
}
