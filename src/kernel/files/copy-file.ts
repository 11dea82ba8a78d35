/** A file's bytes into another file without passing through this process: shared where the file system can, else copied. */
import { FFIType } from "bun:ffi";
import { Errno, errno, libc } from "#kernel/libc.ts";
import { seekData, seekHole, seekTo, truncate } from "./files-at.ts";

const { i32, i64, u32, u64 } = FFIType;
const c = libc({
  ioctl: { args: [i32, u64, i64], returns: i32 },
  sendfile: { args: [i32, i32, FFIType.ptr, u64], returns: i64 },
  copy_file_range: { args: [i32, FFIType.ptr, i32, FFIType.ptr, u64, u32], returns: i64 },
});

/** `FICLONE` (ioctl_ficlone(2)): both files have the same blocks until one is written to. */
const fileClone = 0x40049409n;
const blockBytes = 512;
/** At a time, so that a caller gets its turn. */
const pieceBytesMax = 8 << 20;

/** What the file systems of a copy can do; it finds that out by trying once. */
export interface CopyMeans {
  /** Share blocks (`FICLONE`). */
  clone: boolean;
  /** Copy among themselves (copy_file_range(2)); not from an overlay to what it lies on. */
  range: boolean;
}

/**
 * All of `source` into `target`, an empty file; holes stay holes. Yields after each piece.
 * @throws Errno `ENOSPC` …
 */
export function* copyFile(
  source: number,
  target: number,
  o: { readonly sizeBytes: number; readonly blocks: number; readonly means: CopyMeans },
): Generator<void> {
  if (o.sizeBytes === 0) return;
  if (o.means.clone) {
    if (c.ioctl(target, fileClone, source) === 0) return;
    o.means.clone = false;
  }
  if (o.blocks * blockBytes >= o.sizeBytes) {
    yield* copyRange(source, target, o.sizeBytes, o.means);
    return;
  }
  truncate(target, o.sizeBytes);
  for (let at = seekData(source, 0); at !== undefined && at < o.sizeBytes; ) {
    const end = Math.min(seekHole(source, at), o.sizeBytes);
    seekTo(source, at);
    seekTo(target, at);
    yield* copyRange(source, target, end - at, o.means);
    at = seekData(source, end);
  }
}

/** From both positions on; ends early where the source does. */
function* copyRange(source: number, target: number, length: number, means: CopyMeans): Generator<void> {
  for (let left = length; left > 0; ) {
    const wanted = Math.min(left, pieceBytesMax);
    const done = Number(
      means.range
        ? c.copy_file_range(source, null, target, null, wanted, 0)
        : c.sendfile(target, source, null, wanted),
    );
    if (done < 0) {
      const failure = new Errno(errno(), "copy");
      if (failure.code === "EINTR") continue;
      if (!means.range || !["EXDEV", "EINVAL", "EOPNOTSUPP", "ENOSYS"].includes(failure.code)) throw failure;
      means.range = false;
      continue;
    }
    if (done === 0) return;
    left -= done;
    yield;
  }
}
