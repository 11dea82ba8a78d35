/**
 * Mounts: overlay, bind, tmpfs, propagation, and what is mounted now.
 * Promises: synchronous, without child processes; unmounting what is not mounted is no error. Never: decides how long a
 * mount lives; who mounts also unmounts.
 */
import { FFIType, ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import { bytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, descriptorPath, openAt, openFlag, statAt } from "#kernel/files/files-at.ts";
import { check, cString, Errno, errno, libc, pinnedBuffer } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";
import { type MountInfo, parseMountInfo } from "./mount-info.ts";

const { i64, u64, i32 } = FFIType;
const pointer = FFIType.ptr;

const c = libc({
  mount: { args: [pointer, pointer, pointer, u64, pointer], returns: i32 },
  umount2: { args: [pointer, i32], returns: i32 },
  syscall: { args: [i64, i64, i64, i64, i64, i64], returns: i32 },
});

const flag = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  remount: 32,
  bind: 4096,
  recursive: 16384,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
} as const;

/** Numbers of the mount API of Linux 5.2, the same on every architecture. */
const call = {
  openTree: 428,
  moveMount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
} as const;
const fsconfigFlag = 0;
const fsconfigString = 1;
const fsconfigCreate = 6;
const moveEmptyFromPath = 4;
const openTreeClone = 1;
const openTreeRecursive = 0x8000;
const openTreeCloseOnExec = 0o2000000;
const cloExec = 1;

const unmountDetach = 2;
const unmountNoFollow = 8;
const currentDirectory = -100;

/** `mount(2)` takes one page of options, its NUL included. */
const optionsBytesMax = 4095;
/** `fsconfig(2)` takes values of less than 256 bytes. */
const valueBytesMax = 255;

const slotBytes = 4096;
const slots = [pinnedBuffer(slotBytes), pinnedBuffer(slotBytes)] as const;
const slotPointers = [ptr(slots[0]), ptr(slots[1])] as const;

/** `private`, `rshared` …: with `r`, for everything below too. */
export type Propagation =
  | "private"
  | "rprivate"
  | "shared"
  | "rshared"
  | "slave"
  | "rslave"
  | "unbindable"
  | "runbindable";

export interface OverlayRequest {
  /** Absolute paths, the topmost first; at least one. */
  readonly lower: readonly string[];
  /** Absent, with `work`, for a read-only overlay. */
  readonly upper?: string;
  readonly work?: string;
  readonly target: string;
  /** More options as `mount -o` takes them. */
  readonly options?: readonly string[];
  /** How the layers reach the kernel; chosen by length when absent. For tests. */
  readonly through?: "options" | "fsconfig" | "descriptors";
}

/** @throws Errno. `EINVAL` mostly means that a directory is on a file system that cannot carry an overlay. */
export function mountOverlay(o: OverlayRequest): void {
  const upper = o.upper === undefined ? [] : [["upperdir", o.upper] as const];
  const work = o.work === undefined ? [] : [["workdir", o.work] as const];
  const rest = [...upper, ...work];
  const options = overlayOptions(o.lower.map(escapeLower), rest, o.options);
  const short = Buffer.byteLength(options) <= optionsBytesMax;
  if (o.through === undefined ? short : o.through === "options") {
    mountRaw("overlay", o.target, "overlay", 0, options);
    return;
  }
  if (o.through === "descriptors" || !overlayByFsconfig(o, rest)) overlayByDescriptors(o, rest);
}

type Setting = readonly [key: string, value: string];

function overlayOptions(
  lower: readonly string[],
  rest: readonly Setting[],
  more: readonly string[] = [],
): string {
  const settings = rest.map(([key, value]) => `${key}=${escapeValue(value)}`);
  return [`lowerdir=${lower.join(":")}`, ...settings, ...more].join(",");
}

function escapeValue(path: string): string {
  return path.replace(/[\\,]/g, "\\$&");
}

function escapeLower(path: string): string {
  return escapeValue(path).replace(/:/g, "\\:");
}

/**
 * Each layer by a name of its own, without a limit on all of them together. False where the kernel is too old: before
 * 5.2 it lacks the calls, before 6.8 the option.
 */
function overlayByFsconfig(o: OverlayRequest, rest: readonly Setting[]): boolean {
  const mounted = detachedOverlay(o, rest);
  if (mounted === undefined) return false;
  try {
    attachMount(mounted, o.target);
  } finally {
    closeDescriptor(mounted);
  }
  return true;
}

/** A descriptor of an overlay that is mounted nowhere; undefined where the kernel is too old. */
function detachedOverlay(o: OverlayRequest, rest: readonly Setting[]): number | undefined {
  const held: number[] = [];
  const handle = (path: string) => {
    // Whether a backslash escapes here depends on the kernel and the option.
    if (Buffer.byteLength(path) <= valueBytesMax && !path.includes("\\")) return path;
    return descriptorPath(hold(held, path));
  };
  try {
    const context = check(sys(call.fsopen, place(0, "overlay"), cloExec), () => "open an overlay");
    held.push(context);
    const set = (key: string, value: string) => {
      const result = sys(call.fsconfig, context, fsconfigString, place(0, key), place(1, value), 0);
      check(result, () => `set the overlay's ${key}`);
    };
    set("source", "overlay");
    for (const path of o.lower) set("lowerdir+", handle(path));
    for (const [key, path] of rest) set(key, handle(path));
    for (const option of o.options ?? []) {
      const equals = option.indexOf("=");
      if (equals > 0) set(option.slice(0, equals), option.slice(equals + 1));
      else check(sys(call.fsconfig, context, fsconfigFlag, place(0, option), 0, 0), () => `set ${option}`);
    }
    check(sys(call.fsconfig, context, fsconfigCreate, 0, 0, 0), () => "create the overlay");
    return check(sys(call.fsmount, context, cloExec, 0), () => "mount the overlay");
  } catch (error) {
    const tooOld = error instanceof Errno && ["ENOSYS", "EINVAL", "EPERM"].includes(error.code);
    if (tooOld && o.through !== "fsconfig") return undefined;
    throw error;
  } finally {
    for (const fd of held) closeDescriptor(fd);
  }
}

/**
 * An overlay that is mounted nowhere: only the descriptor leads to it, and with the last one it is gone, however the
 * process ends. Before Linux 6.8 it is on `target` for a moment. The caller closes it.
 */
export function openOverlay(o: OverlayRequest): number {
  const upper = o.upper === undefined ? [] : [["upperdir", o.upper] as const];
  const work = o.work === undefined ? [] : [["workdir", o.work] as const];
  const direct = o.through === "options" ? undefined : detachedOverlay(o, [...upper, ...work]);
  if (direct !== undefined) return direct;
  mountOverlay(o);
  try {
    return cloneMount(o.target);
  } finally {
    unmount(o.target, { detach: true });
  }
}

/**
 * A copy of the mount at `path` that is itself mounted nowhere (open_tree(2), Linux 5.2), `recursive` with the mounts below
 * it. The caller closes it.
 */
export function cloneMount(path: string, o: { readonly recursive?: boolean } = {}): number {
  const flags = openTreeClone | openTreeCloseOnExec | (o.recursive === true ? openTreeRecursive : 0);
  return check(sys(call.openTree, currentDirectory, place(0, path), flags), () => `open the mount ${path}`);
}

/** Puts a mount that is mounted nowhere on `target`. Its descriptor stays the caller's. */
export function attachMount(mount: number, target: string): void {
  check(
    sys(call.moveMount, mount, place(0, ""), currentDirectory, place(1, target), moveEmptyFromPath),
    () => `mount on ${target}`,
  );
}

/**
 * Each layer as /proc/self/fd/N, short enough for some two hundred in one page.
 * @throws Fault `unsupported` for more: the kernel would take a part of them without a word.
 */
function overlayByDescriptors(o: OverlayRequest, rest: readonly Setting[]): void {
  const held: number[] = [];
  try {
    const short = (path: string) => descriptorPath(hold(held, path));
    const options = overlayOptions(
      o.lower.map(short),
      rest.map(([key, path]) => [key, short(path)] as const),
      o.options,
    );
    if (Buffer.byteLength(options) > optionsBytesMax)
      throw new Fault(
        "unsupported",
        `${o.lower.length} layers cannot be mounted by this kernel: Linux 6.8 can, or squash the image`,
      );
    mountRaw("overlay", o.target, "overlay", 0, options);
  } finally {
    for (const fd of held) closeDescriptor(fd);
  }
}

function hold(held: number[], path: string): number {
  const fd = openAt(currentDirectory, bytePath(path), openFlag.path | openFlag.directory);
  held.push(fd);
  return fd;
}

function sys(number: number, ...args: readonly number[]): number {
  const [a = 0, b = 0, d = 0, e = 0, f = 0] = args;
  return c.syscall(number, a, b, d, e, f);
}

/** A text where the kernel can read it until the next call of `place` for the same slot. */
function place(slot: 0 | 1, text: string): number {
  const bytes = cString(text);
  if (bytes.length > slotBytes) throw new Errno(nameTooLong, text.slice(0, 64));
  slots[slot].set(bytes);
  return slotPointers[slot];
}
const nameTooLong = 36;

export interface BindOptions {
  readonly readOnly?: boolean;
  /** With the mounts below the source. */
  readonly recursive?: boolean;
  readonly propagation?: Propagation;
}

/** Shows `source`, a file or directory, at `target`, one of the same kind. Undone when a later step fails. */
export function mountBind(source: string, target: string, o: BindOptions = {}): void {
  mountRaw(source, target, "none", flag.bind | (o.recursive === true ? flag.recursive : 0), "");
  try {
    if (o.readOnly === true) mountRaw("none", target, "none", flag.remount | flag.bind | flag.readOnly, "");
    if (o.propagation !== undefined) setPropagation(target, o.propagation);
  } catch (error) {
    unmount(target, { detach: true });
    throw error;
  }
}

export interface TmpfsOptions {
  readonly sizeBytes?: number;
  /** Permission bits of its root. */
  readonly mode?: number;
  readonly noSuid?: boolean;
  readonly noDev?: boolean;
  readonly noExec?: boolean;
}

export function mountTmpfs(target: string, o: TmpfsOptions = {}): void {
  const options = [
    ...(o.sizeBytes === undefined ? [] : [`size=${o.sizeBytes}`]),
    `mode=${(o.mode ?? 0o755).toString(8)}`,
  ];
  const flags =
    (o.noSuid === true ? flag.noSuid : 0) |
    (o.noDev === true ? flag.noDev : 0) |
    (o.noExec === true ? flag.noExec : 0);
  mountRaw("tmpfs", target, "tmpfs", flags, options.join(","));
}

/** Says how mounts made below `target`, a mount point, are seen by other mount namespaces. */
export function setPropagation(target: string, propagation: Propagation): void {
  const recursive = propagation.startsWith("r");
  const kind = (recursive ? propagation.slice(1) : propagation) as
    | "private"
    | "shared"
    | "slave"
    | "unbindable";
  mountRaw("none", target, "none", flag[kind] | (recursive ? flag.recursive : 0), "");
}

/** mount(2) as it is. `what` was tried, for the message of a failure. */
export function mountRaw(
  source: string,
  target: string,
  type: string,
  flags: number,
  options: string,
  what = () => `mount ${type === "none" ? source : type} on ${target}`,
): void {
  check(c.mount(cString(source), cString(target), cString(type), flags, cString(options)), what);
}

/**
 * Takes the topmost mount off `target`. Idempotent: false when it is no mount point or does not exist.
 * `detach` takes it out of sight at once, in use or not. @throws Errno `EBUSY` without it.
 */
export function unmount(target: string, o: { readonly detach?: boolean } = {}): boolean {
  const result = c.umount2(cString(target), unmountNoFollow | (o.detach === true ? unmountDetach : 0));
  if (result === 0) return true;
  const failure = new Errno(errno(), `unmount ${target}`);
  if (failure.code === "EINVAL" || failure.code === "ENOENT") return false;
  throw failure;
}

/** True when another file system begins at `path`. A bind mount of the same file system is not seen. */
export function isMountPoint(path: string): boolean {
  const here = statAt(currentDirectory, bytePath(path));
  if (here === undefined) return false;
  return here.device !== statAt(currentDirectory, bytePath(`${path}/..`))?.device;
}

/** What is mounted at `root` and below it in this mount namespace, in the order it was mounted. */
export function mountsBeneath(root: string): MountInfo[] {
  const below = root.endsWith("/") ? root : `${root}/`;
  return parseMountInfo(readFileSync("/proc/self/mountinfo", "latin1")).filter(
    ({ target }) => target === root || target.startsWith(below),
  );
}

/** Whether the kernel has a file system, its module loaded where it can be. */
export function kernelHas(fileSystem: string): boolean {
  const fd = sys(call.fsopen, place(0, fileSystem), cloExec);
  if (fd >= 0) {
    closeDescriptor(fd);
    return true;
  }
  if (new Errno(errno(), "fsopen").code === "ENODEV") return false;
  return readFileSync("/proc/filesystems", "utf8").split(/\s+/).includes(fileSystem);
}
