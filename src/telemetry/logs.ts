/**
 * What containers wrote: read, followed, kept within limits.
 * Owns: who reads which log, so that followers learn of new files. The files are conmon's to write.
 */
import type { ContainerRecord } from "#spec/container.ts";
import type { Fault } from "#spec/fault.ts";
import { logLimits } from "./log-config.ts";
import { makeLogFiles } from "./log-files.ts";
import { LogKeeper } from "./log-keeper.ts";
import type { LogFrame } from "./log-parser.ts";
import { type LogRead, LogReader } from "./log-reader.ts";

export type { LogRead };

export interface LogsOptions {
  /** Told of what fails where no request is there to be told. */
  readonly report?: (fault: Fault) => void;
}

export class Logs implements Disposable {
  readonly #followers = new Map<string, Set<LogReader>>();
  readonly #keeper: LogKeeper;

  constructor(o: LogsOptions = {}) {
    this.#keeper = new LogKeeper({
      report: o.report ?? (() => undefined),
      rotated: (path, number, most) => {
        for (const reader of this.#followers.get(path) ?? []) reader.rotated(number, most);
      },
    });
  }

  /** Opens the files at the call, so that nothing is lost when they are removed before they are read. None is an empty log. */
  read(path: string, o: LogRead): AsyncIterable<LogFrame> {
    if (o.follow === undefined) return new LogReader(path, o);
    const followers = this.#followers.get(path) ?? new Set();
    this.#followers.set(path, followers);
    const reader = new LogReader(path, o, () => {
      followers.delete(reader);
      if (followers.size === 0) this.#followers.delete(path);
    });
    followers.add(reader);
    return reader;
  }

  /** Makes an empty log, so that a stream attached before the first run has a file to follow. Idempotent. */
  async prepare(path: string): Promise<void> {
    await makeLogFiles(path);
  }

  /** From a container's start on, or from when the engine comes back to it. `reopen` tells conmon to begin a new file. */
  keep(record: ContainerRecord, path: string, reopen: () => Promise<void>): void {
    this.#keeper.keep(path, logLimits(record.host.LogConfig), reopen);
  }

  /** After a container's end: what was kept too much goes. Idempotent. */
  async settle(record: ContainerRecord, path: string): Promise<void> {
    await this.#keeper.release(path, logLimits(record.host.LogConfig));
  }

  /** Before a log's files are removed. Idempotent. */
  async forget(path: string): Promise<void> {
    await this.#keeper.forget(path);
  }

  [Symbol.dispose](): void {
    this.#keeper[Symbol.dispose]();
  }
}
