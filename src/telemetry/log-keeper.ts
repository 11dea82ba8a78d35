/**
 * Keeps the logs of running containers within their limits.
 * Owns: when a new file is begun, what becomes of the old ones. Promises: no line is lost that may stay; containers are never
 * held up; a log nobody writes costs one look in five seconds. Without an engine conmon itself begins a new file, at a size of
 * its own (`conmonFileBytes`), into the one made ahead; what came too much is put right when the engine is back.
 */
import { statSync } from "node:fs";
import { Fault } from "#spec/fault.ts";
import type { LogLimits } from "./log-config.ts";
import { closeLogFile, currentState, listLogFiles, makeLogFiles } from "./log-files.ts";
import { compressLog, type FileLimits, fileLimits, markContinued, pruneLog } from "./log-rotation.ts";

export interface LogKeeperOptions {
  /** Called when a log goes on in the file with this number; `most` closed files stay. */
  readonly rotated: (path: string, number: number, most: number) => void;
  readonly report: (fault: Fault) => void;
}

/** How often a log is looked at that just changed, one that did not, and one that has not for long. */
const lookMs = { busy: 100, idle: 1000, quiet: 5000 };
const quietAfterMs = 10_000;
/** How long conmon may take to begin a new file, and between looks. */
const reopenMs = { most: 2000, pause: 2 };

interface Kept {
  readonly path: string;
  readonly limits: FileLimits;
  readonly compress: boolean;
  readonly reopen: () => Promise<void>;
  inode: number;
  bytes: number;
  busy: boolean;
  /** When it was last seen to change, and is to be looked at, in milliseconds of the process's own clock. */
  changedAt: number;
  lookAt: number;
  /** What is wrong with it was told of. */
  failing: boolean;
  /** What is being done with it. */
  work: Promise<void> | undefined;
}

export class LogKeeper implements Disposable {
  readonly #o: LogKeeperOptions;
  readonly #kept = new Map<string, Kept>();
  /** Of what is done, or waits to be done, with closed files: how to call it off, and when it is over. */
  readonly #tidying = new Map<string, { readonly stop: AbortController; readonly done: Promise<void> }>();
  #lastTidy: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(o: LogKeeperOptions) {
    this.#o = o;
  }

  /** From a container's start on, or from when the engine comes back to it. `reopen` tells conmon to begin a new file. */
  keep(path: string, limits: LogLimits, reopen: () => Promise<void>): void {
    const seen = statSync(path, { throwIfNoEntry: false });
    const log: Kept = {
      path,
      limits: fileLimits(limits),
      compress: limits.compress,
      reopen,
      inode: seen?.ino ?? 0,
      bytes: 0,
      busy: true,
      changedAt: performance.now(),
      lookAt: 0,
      failing: false,
      work: undefined,
    };
    this.#kept.set(path, log);
    this.#begin(log, async () => {
      // What happened while no engine lived.
      makeLogFiles(path);
      await markContinued(path, { all: true });
      await pruneLog(path, log.limits);
      log.inode = (await currentState(path))?.inode ?? 0;
    });
    this.#arm();
  }

  /** After a container's end. Idempotent; also for one that nobody kept. */
  async release(path: string, limits: LogLimits): Promise<void> {
    const log = this.#kept.get(path);
    this.#kept.delete(path);
    await log?.work;
    const { closed, current } = listLogFiles(path);
    if (current === undefined) return;
    const { fileBytes, closedBytes, closedFiles } = fileLimits(limits);
    if (current.bytes > fileBytes) {
      await closeLogFile(path);
      await markContinued(path, { all: true });
      this.#o.rotated(path, listLogFiles(path).current?.number ?? 0, closedFiles);
    } else if (closed.length === 0) return;
    // The file that is written is empty, or grows no more: the closed ones may have its part.
    const rest = Math.max(0, fileBytes - (current.bytes > fileBytes ? 0 : current.bytes));
    const allowed = { fileBytes, closedBytes: closedBytes + rest, closedFiles: closedFiles + 1 };
    await pruneLog(path, current.bytes > fileBytes ? allowed : fileLimits(limits));
    if (limits.compress) this.#compress(path);
  }

  /** Lets everything go that is still done with a log whose files are about to be removed. */
  async forget(path: string): Promise<void> {
    const log = this.#kept.get(path);
    this.#kept.delete(path);
    const tidying = this.#tidying.get(path);
    tidying?.stop.abort();
    await Promise.all([log?.work, tidying?.done]);
  }

  #begin(log: Kept, work: () => Promise<void>): void {
    const done = async (): Promise<void> => {
      try {
        await work();
        log.failing = false;
      } catch (thrown) {
        if (this.#kept.get(log.path) === log && !log.failing) this.#o.report(Fault.from(thrown));
        log.failing = true;
      } finally {
        log.work = undefined;
      }
    };
    log.work = done();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#kept.size === 0) return;
    const anyBusy = [...this.#kept.values()].some(({ busy }) => busy);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#look();
        this.#arm();
      },
      anyBusy ? lookMs.busy : lookMs.idle,
    );
    this.#timer.unref();
  }

  #look(): void {
    const now = performance.now();
    for (const log of this.#kept.values()) {
      if (log.work !== undefined || (!log.busy && now < log.lookAt)) continue;
      this.#lookAt(log);
      if (log.busy) log.changedAt = now;
      log.lookAt = now + (now - log.changedAt < quietAfterMs ? lookMs.idle : lookMs.quiet);
    }
  }

  /** Synchronous: two microseconds here, twenty of processor time through the thread pool. */
  #lookAt(log: Kept): void {
    const seen = statSync(log.path, { throwIfNoEntry: false });
    if (seen === undefined) return;
    log.busy = seen.size !== log.bytes || seen.ino !== log.inode;
    log.bytes = seen.size;
    if (seen.ino !== log.inode) this.#begin(log, async () => await this.#changed(log));
    else if (seen.size >= log.limits.fileBytes) this.#begin(log, async () => await this.#rotate(log));
  }

  async #rotate(log: Kept): Promise<void> {
    const { path } = log;
    makeLogFiles(path);
    try {
      await log.reopen();
    } catch {
      // conmon is gone: the end of the container is about to be known.
      return;
    }
    for (let waited = 0; waited < reopenMs.most && this.#kept.get(path) === log; waited += reopenMs.pause) {
      const seen = await currentState(path);
      if (seen !== undefined && seen.inode !== log.inode) return await this.#changed(log);
      await new Promise((resolve) => setTimeout(resolve, reopenMs.pause));
    }
  }

  /** A new file was begun. */
  async #changed(log: Kept): Promise<void> {
    const { path, limits } = log;
    makeLogFiles(path);
    await markContinued(path);
    const { current } = listLogFiles(path);
    if (current === undefined) return;
    log.inode = current.inode;
    log.bytes = 0;
    this.#o.rotated(path, current.number, limits.closedFiles);
    await pruneLog(path, limits);
    if (log.compress) this.#compress(path);
  }

  /** One log at a time: compressing shall not take the machine from containers. */
  #compress(path: string): void {
    if (this.#tidying.has(path)) return;
    const stop = new AbortController();
    const work = async (): Promise<void> => {
      try {
        await compressLog(path, stop.signal);
      } catch (thrown) {
        if (!stop.signal.aborted) this.#o.report(Fault.from(thrown));
      } finally {
        this.#tidying.delete(path);
      }
    };
    this.#lastTidy = this.#lastTidy.then(work);
    this.#tidying.set(path, { stop, done: this.#lastTidy });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#kept.clear();
    for (const { stop } of this.#tidying.values()) stop.abort();
  }
}
