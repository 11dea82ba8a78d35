/**
 * How much of a log stays: files that are written no more go, oldest first, when they are too many or too large together.
 * Owns: which. Promises: what goes is the oldest, in whole lines; never the file that is written.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { open, rename, rm, stat, writeFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { LogLimits } from "./log-config.ts";
import { continuesPath, isMissing, type LogFile, listLogFiles } from "./log-files.ts";
import { endsLine } from "./log-parser.ts";
import { LineEnds } from "./log-tail.ts";

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
  for (const { number, path: name } of remove) {
    await rm(name, { force: true });
    await rm(continuesPath(path, number), { force: true });
  }
  if (cut === undefined) return;
  const continues = await cutHead(cut.file.path, cut.keepBytes);
  await mark(path, cut.file.number, continues);
}

/**
 * Marks files that begin within a line: conmon ends a file wherever it stands. Who reads them without the file before then
 * knows what to leave out. Idempotent; `all`: not only the newest.
 */
export async function markContinued(
  path: string,
  o: { readonly all: boolean } = { all: false },
): Promise<void> {
  const { closed, current } = listLogFiles(path);
  const files = current === undefined ? closed : [...closed, current];
  for (const [index, file] of files.entries()) {
    const before = files[index - 1];
    if (before === undefined || before.compressed || file.continues) continue;
    if ((o.all || index === files.length - 1) && (await endsWithinLine(before.path)))
      await mark(path, file.number, true);
  }
}

async function mark(path: string, number: number, continues: boolean): Promise<void> {
  if (continues) await writeFile(continuesPath(path, number), "", { mode: 0o600 });
  else await rm(continuesPath(path, number), { force: true });
}

async function endsWithinLine(path: string): Promise<boolean> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const length = Math.min(searchBytes, size);
    const { buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, size - length);
    const begin = buffer.lastIndexOf(newline, length - 2) + 1;
    return length > 0 && !endsLine(buffer, begin);
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw thrown;
  }
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

/** Leaves the last whole lines of at most `keepBytes`. @returns Whether it begins within a line, for want of a short one. */
async function cutHead(path: string, keepBytes: number): Promise<boolean> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const from = size - keepBytes;
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(searchBytes), 0, searchBytes, from - 1);
  const text = buffer.subarray(0, bytesRead);
  const record = text.indexOf(newline) + 1;
  const line = new LineEnds(1);
  line.push(text.subarray(record));
  const start = record === 0 ? size : from - 1 + record + (line.found ?? 0);
  await replace(path, path, async (temporary) => {
    await pipeline(createReadStream(path, { start }), createWriteStream(temporary, { mode: 0o600 }));
  });
  return line.found === undefined;
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
