/**
 * The files of one container's log, beside each other: `NAME` is written, `NAME.7` was written before, `NAME.8.gz` is one of
 * those, compressed; `NAME.9.continues` says that number 9 begins within a line. A file has its number as a second name (a hard link) from the moment it is made: whoever replaces
 * `NAME`, conmon on its own included, destroys nothing. `NAME.tmp` is the next file, made and numbered ahead: conmon opens it,
 * and names it `NAME`, when it is told to begin a new one or has written all it may into the old one.
 */
import { closeSync, constants, linkSync, openSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export interface LogFile {
  readonly path: string;
  readonly number: number;
  readonly compressed: boolean;
  /** Its first record is the rest of a line that began in the file before. */
  readonly continues: boolean;
  readonly inode: number;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface LogFiles {
  /** Oldest first; none of them is written any more. */
  readonly closed: readonly LogFile[];
  /** The one that is written; `number` is 0 while it has no second name. */
  readonly current: LogFile | undefined;
  /** The one made ahead. */
  readonly next: LogFile | undefined;
  /** The highest number there is. */
  readonly last: number;
}

const mode = 0o600;

/** What there is now. A few microseconds for each file. */
export function listLogFiles(path: string): LogFiles {
  const current = look(path, 0, false);
  const names = namesBeside(path);
  const continued = new Set(names.filter(({ kind }) => kind === "continues").map(({ number }) => number));
  const numbered = names.flatMap(({ name, number, kind }) => {
    if (kind === "continues") return [];
    const file = look(join(dirname(path), name), number, kind === "gz");
    return file === undefined ? [] : [{ ...file, continues: continued.has(number) }];
  });
  numbered.sort((a, b) => a.number - b.number);
  const named = numbered.find(({ inode }) => inode === current?.inode);
  const ahead = look(`${path}.tmp`, 0, false);
  const next = numbered.find(({ inode }) => inode === ahead?.inode);
  // While this looks, conmon may make the next file the current one: what is newer than the current one is no older file.
  const newest = named?.number ?? next?.number ?? Number.POSITIVE_INFINITY;
  return {
    closed: numbered.filter(({ number }) => number < newest),
    current: named ?? current,
    next,
    last: numbered.at(-1)?.number ?? 0,
  };
}

function namesBeside(path: string): { name: string; number: number; kind: string | undefined }[] {
  const prefix = `${basename(path)}.`;
  try {
    return readdirSync(dirname(path)).flatMap((name) => {
      const rest = name.startsWith(prefix) ? name.slice(prefix.length) : "";
      const [, number, kind] = /^(\d+)(?:\.(gz|continues))?$/.exec(rest) ?? [];
      return number === undefined ? [] : [{ name, number: Number(number), kind }];
    });
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
}

function look(path: string, number: number, compressed: boolean): LogFile | undefined {
  const seen = statSync(path, { throwIfNoEntry: false });
  if (seen === undefined) return undefined;
  return {
    ...{ path, number, compressed, continues: false },
    ...{ inode: seen.ino, bytes: seen.size, modifiedMs: seen.mtimeMs },
  };
}

/** Where a file with this number is. */
export function numberedPath(path: string, number: number, compressed = false): string {
  return `${path}.${number}${compressed ? ".gz" : ""}`;
}

/** An empty file beside one that continues a line of the file before. */
export function continuesPath(path: string, number: number): string {
  return `${path}.${number}.continues`;
}

/** Makes an empty log where there is none: one file, which `makeLogFiles` numbers before somebody writes it. Idempotent. */
export function makeEmptyLog(path: string): void {
  touch(path);
}

/**
 * Makes the file that is written, and the next one, if they are not there, and numbers both. Idempotent. Synchronous: a few
 * calls of ten microseconds each, which through the thread pool were a third of a container's creation.
 */
export function makeLogFiles(path: string): void {
  const found = listLogFiles(path);
  if (found.next !== undefined && (found.current?.number ?? 0) > 0) return;
  // A stranger took the place of the one that was written: its number must be the highest.
  if (found.next !== undefined && found.current?.number === 0) dropNext(path, found.next);
  else if (found.next !== undefined && found.current === undefined) renameSync(`${path}.tmp`, path);
  touch(path);
  const { current, next, last: highest } = listLogFiles(path);
  let last = highest;
  if (current?.number === 0) linkSync(path, numberedPath(path, ++last));
  if (next !== undefined) return;
  touch(`${path}.tmp`);
  linkSync(`${path}.tmp`, numberedPath(path, last + 1));
}

function dropNext(path: string, next: LogFile): void {
  rmSync(`${path}.tmp`, { force: true });
  rmSync(next.path, { force: true });
}

function touch(path: string): void {
  closeSync(openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, mode));
}

/** Of the file that is written; undefined when there is none. */
export async function currentState(path: string): Promise<{ inode: number; bytes: number } | undefined> {
  try {
    const { ino, size } = await stat(path);
    return { inode: ino, bytes: size };
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** Closes the file that nobody writes any more: from now on it has its number alone, and the next one is in its place. */
export async function closeLogFile(path: string): Promise<void> {
  makeLogFiles(path);
  await rename(`${path}.tmp`, path);
  makeLogFiles(path);
}

/** Takes away what was written; who reads it at the moment still comes to its end. The log must not be written. Idempotent. */
export async function emptyLog(path: string): Promise<void> {
  const { closed, current } = listLogFiles(path);
  if (current === undefined || (current.bytes === 0 && closed.length === 0)) return;
  if (current.bytes > 0) await closeLogFile(path);
  for (const file of listLogFiles(path).closed) {
    await rm(file.path, { force: true });
    await rm(continuesPath(path, file.number), { force: true });
  }
}

/** Whether what was thrown says that a file is not there. */
export function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}
