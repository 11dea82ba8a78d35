/**
 * How much of a log stays: files that are written no more go, oldest first, when they are too many or too large together.
 * Owns: which. Promises: what goes is the oldest, in whole lines; never the file that is written.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { LogLimits } from "./log-config.ts";
import { isMissing, type LogFile, listLogFiles } from "./log-files.ts";

/** What limits mean for files: how large one may grow, how many closed ones stay, and how much they are together. */
export interface FileLimits {
  readonly fileBytes: number;
  readonly closedFiles: number;
  readonly closedBytes: number;
}

/** A container that may have one file has two of half its size: so that a log never starts over from nothing. */
export function fileLimits({ maxBytes, maxFiles }: LogLimits): FileLimits {
  const fileBytes = maxFiles === 1 ? Math.ceil(maxBytes / 2) : maxBytes;
  const closedFiles = Math.max(1, maxFiles - 1);
  return { fileBytes, closedFiles, closedBytes: closedFiles * fileBytes };
}

export interface Excess {
  readonly remove: readonly LogFile[];
  /** Of this file only so many bytes at its end stay. */
  readonly cut: { readonly file: LogFile; readonly keepBytes: number } | undefined;
}

/**
 * What of the closed files, oldest first, is too much. A file that grew far beyond its size before it could be closed is
 * cut, where letting it go would leave much less than may stay.
 */
export function findExcess(closed: readonly LogFile[], limits: FileLimits): Excess {
  const kept = closed.slice(Math.max(0, closed.length - limits.closedFiles));
  const remove = closed.slice(0, closed.length - kept.length);
  let total = kept.reduce((sum, { bytes }) => sum + bytes, 0);
  for (let oldest = kept[0]; oldest !== undefined && total > limits.closedBytes; oldest = kept[0]) {
    const rest = total - oldest.bytes;
    if (rest <= limits.closedBytes - limits.fileBytes && !oldest.compressed)
      return { remove, cut: { file: oldest, keepBytes: limits.closedBytes - rest } };
    remove.push(oldest);
    kept.shift();
    total = rest;
  }
  return { remove, cut: undefined };
}

/** Brings the closed files of a log within its limits. Idempotent. */
export async function pruneLog(path: string, limits: FileLimits): Promise<void> {
  const { remove, cut } = findExcess(listLogFiles(path).closed, limits);
  for (const file of remove) await rm(file.path, { force: true });
  if (cut !== undefined) await cutHead(cut.file.path, cut.keepBytes);
}

/** Compresses the closed files that are not yet. Idempotent. */
export async function compressLog(path: string, signal: AbortSignal): Promise<void> {
  for (const file of listLogFiles(path).closed)
    if (!file.compressed && !signal.aborted) await compress(file.path, signal);
}

const newline = 0x0a;
/** Fast: text of logs is small already at the lowest. */
const compressionLevel = 1;
const searchBytes = 64 << 10;

/** Leaves the last whole records of at most `keepBytes`. */
async function cutHead(path: string, keepBytes: number): Promise<void> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const from = size - keepBytes;
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(searchBytes), 0, searchBytes, from - 1);
  const end = buffer.subarray(0, bytesRead).indexOf(newline);
  const start = end < 0 ? size : from + end;
  await replace(path, path, async (temporary) => {
    await pipeline(createReadStream(path, { start }), createWriteStream(temporary, { mode: 0o600 }));
  });
}

async function compress(path: string, signal: AbortSignal): Promise<void> {
  await replace(path, `${path}.gz`, async (temporary) => {
    await pipeline(
      createReadStream(path),
      createGzip({ level: compressionLevel }),
      createWriteStream(temporary, { mode: 0o600 }),
      { signal },
    );
  });
  await rm(path, { force: true });
}

/** A file that was removed meanwhile stays so. */
async function replace(
  path: string,
  target: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.part`;
  try {
    await write(temporary);
    await stat(path);
    await rename(temporary, target);
  } catch (thrown) {
    await rm(temporary, { force: true });
    if (!isMissing(thrown)) throw thrown;
  }
}
