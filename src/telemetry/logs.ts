/**
 * What containers wrote: read, followed, kept within limits, brought to receivers.
 * Owns: who reads which log, so that followers learn of new files; one shipper for each log that has a receiver. The files are
 * conmon's to write.
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { logLimits, outlivesRun } from "./log-config.ts";
import { type LogMachine, logRoute } from "./log-drivers.ts";
import { emptyLog, makeEmptyLog, makeLogFiles } from "./log-files.ts";
import { LogKeeper } from "./log-keeper.ts";
import type { LogFrame } from "./log-parser.ts";
import { type LogRead, LogReader } from "./log-reader.ts";
import { LogShipper } from "./log-shipper.ts";

export type { LogRead };

export interface LogsOptions {
  readonly machine: LogMachine;
  /** Told of what fails where no request is there to be told. */
  readonly report: (fault: Fault) => void;
}

/** A file that grows needs blocks of its own, and some for what leads to them. */
const roomBytesMin = 64 << 10;
/** How long a removal waits for a receiver to take the last lines; not at all for one that cannot be reached. */
const lastLinesMs = 5000;

export class Logs implements AsyncDisposable {
  readonly #o: LogsOptions;
  readonly #followers = new Map<string, Set<LogReader>>();
  readonly #shippers = new Map<string, LogShipper>();
  readonly #keeper: LogKeeper;

  constructor(o: LogsOptions) {
    this.#o = o;
    this.#keeper = new LogKeeper({
      report: o.report,
      rotated: (path, number, most) => {
        for (const reader of this.#followers.get(path) ?? []) reader.rotated(number, most);
      },
    });
  }

  /** Opens the files at the call, so that nothing is lost when they are removed before they are read. None is an empty log. */
  read(path: string, o: LogRead): AsyncIterable<LogFrame> {
    return this.#reader(path, o);
  }

  #reader(path: string, o: LogRead): LogReader {
    if (o.follow === undefined) return new LogReader(path, o);
    const followers = this.#followers.get(path) ?? new Set();
    this.#followers.set(path, followers);
    const reader = new LogReader(path, o, () => {
      followers.delete(reader);
      if (followers.size === 0 && this.#followers.get(path) === followers) this.#followers.delete(path);
    });
    followers.add(reader);
    return reader;
  }

  /** Makes an empty log, so that a stream attached before the first run has a file to follow. Idempotent. */
  prepare(path: string): void {
    makeEmptyLog(path);
  }

  /**
   * Before a start: numbers the files, and reaches the receiver of the container's output, where its driver wants that.
   * @throws Fault `unavailable` as dockerd says it.
   */
  async open(record: ContainerRecord, path: string, signal: AbortSignal): Promise<void> {
    makeLogFiles(path);
    try {
      await this.#shipper(record, path)?.connect(signal);
    } catch (cause) {
      signal.throwIfAborted();
      const reason = Fault.from(cause).message;
      throw new Fault(
        "internal",
        `failed to create task for container: failed to initialize logging driver: ${reason}`,
        { cause },
      );
    }
  }

  /** As `#shipper`; what stands in its way must stop neither a container nor its removal. */
  #shipperIfAny(record: ContainerRecord, path: string): LogShipper | undefined {
    try {
      return this.#shipper(record, path);
    } catch (thrown) {
      this.#o.report(Fault.from(thrown));
      return undefined;
    }
  }

  #shipper(record: ContainerRecord, path: string): LogShipper | undefined {
    const known = this.#shippers.get(path);
    if (known !== undefined) return known;
    const { machine, report } = this.#o;
    const route = logRoute(record, machine);
    if (route === undefined) return undefined;
    const read = (o: LogRead) => this.#reader(path, o);
    const shipper = new LogShipper({ path, route, read, report, newId: machine.newId });
    this.#shippers.set(path, shipper);
    return shipper;
  }

  /** From a container's start on, or from when the engine comes back to it. `reopen` tells conmon to begin a new file. */
  keep(record: ContainerRecord, path: string, reopen: () => Promise<void>): void {
    this.#keeper.keep(path, logLimits(record.host.LogConfig), reopen);
    this.#shipperIfAny(record, path)?.begin();
  }

  /** False while the disk takes no more of what is written to the log; true also for one that is gone. */
  hasRoom(path: string): boolean {
    try {
      const { bfree, bsize } = statfsSync(dirname(path));
      return bfree * bsize >= roomBytesMin;
    } catch {
      return true;
    }
  }

  /** After a container's end: what was kept too much goes, what was not shipped is. Idempotent. */
  async settle(record: ContainerRecord, path: string): Promise<void> {
    try {
      await this.#keeper.release(path, logLimits(record.host.LogConfig));
      if (!outlivesRun(record.host.LogConfig)) await emptyLog(path);
    } catch (thrown) {
      // A full disk, say: no reason to hold on to what the run had, or to its container.
      this.#o.report(Fault.from(thrown));
    }
    const shipper = this.#shipperIfAny(record, path);
    if (shipper === undefined) return;
    shipper.finish();
    // The next run gets its own: its container may have another name by then.
    void shipper.done.then(async () => {
      if (this.#shippers.get(path) !== shipper || shipper.isWorking) return;
      this.#shippers.delete(path);
      await shipper.stop();
    });
  }

  /** Before a log's files are removed. Idempotent. */
  async forget(path: string): Promise<void> {
    const shipper = this.#shippers.get(path);
    this.#shippers.delete(path);
    if (shipper !== undefined) {
      if (!shipper.isFailing) await Promise.race([shipper.done, Bun.sleep(lastLinesMs)]);
      await shipper.stop();
    }
    await this.#keeper.forget(path);
  }

  /** Containers write on; another engine goes on from here. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper[Symbol.dispose]();
    await Promise.all([...this.#shippers.values()].map(async (shipper) => await shipper.stop()));
  }
}
