/**
 * One reading of a container's log, over all its files.
 * Owns: a descriptor of each file still to be read, a watch on the last one. Promises: follows without missing or repeating
 * a byte, also into new files and past files that are removed before they are read; sleeps while nothing is written; holds
 * a bounded part of the log. Never: writes, or holds up who writes.
 */
import { closeSync, type FSWatcher, fstatSync, openSync, watch } from "node:fs";
import { isMissing, type LogFile, listLogFiles, numberedPath } from "./log-files.ts";
import { type LogFrame, LogParser, type LogSelection } from "./log-parser.ts";
import { findCompressedTail, readBuffer, readCompressed, readPlain } from "./log-source.ts";
import { findTail, wholeEnd } from "./log-tail.ts";

/**
 * Bun's watcher swallows a change within a millisecond of the one it told of (measured: 551 of 3000 writes). So after a
 * change the file is looked at again until nothing new came for longer than that; only then does the reader sleep.
 */
const settleMs = 4;
/** Of a timer; what is further away needs none. */
const timerMsMax = 2 ** 31 - 1;

/** A place in a log: how many bytes into the text of which file. */
export interface LogPosition {
  readonly number: number;
  readonly offset: number;
}

export interface LogRead extends LogSelection {
  /** Only so many lines at the end of what is there. */
  readonly tail?: number | undefined;
  /** Where to begin, decided at the call. @default "start" */
  readonly from?: "start" | "end" | LogPosition;
  /** Goes on with what is written later; ends with the log once `ended` is settled. */
  readonly follow?: { readonly ended: Promise<unknown> } | undefined;
  readonly signal: AbortSignal;
}

export interface LogBatch {
  readonly frames: readonly LogFrame[];
  /** Where the text they are of ends: a frame's own end lies `behind` bytes before. */
  readonly end: LogPosition;
}

type AddedFile = Pick<LogFile, "path" | "number" | "compressed" | "continues">;

interface OpenFile {
  readonly fd: number;
  number: number;
  readonly inode: number;
  readonly compressed: boolean;
  readonly continues: boolean;
  readonly modifiedMs: number;
  /** Where to begin. */
  offset: number;
}

/** Read once. A reader that is never read lets go of its files with the signal. */
export class LogReader implements AsyncIterable<LogFrame>, Disposable {
  readonly #path: string;
  readonly #o: LogRead;
  readonly #close: () => void;
  readonly #closed: (() => void) | undefined;
  /** Oldest first. */
  readonly #files: OpenFile[] = [];
  /** Of the last file, when the reader was made. */
  #size = 0;
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #changed = true;
  #ended = false;
  #disposed = false;
  #active = false;
  /** While it is looked for where to begin, in any of the files. */
  #skipping = false;
  #buffer: Buffer | undefined;
  #wake = (): void => undefined;

  /** Opens the files, so that nothing is lost when they are removed before they are read. `closed` is told of the end. */
  constructor(path: string, o: LogRead, closed?: () => void) {
    this.#path = path;
    this.#o = o;
    this.#closed = closed;
    this.#open();
    // A read under way must not find its descriptor in other hands: the reader then closes it itself.
    this.#close = () => (this.#active ? this.#wake() : this[Symbol.dispose]());
    o.signal.addEventListener("abort", this.#close);
    if (o.follow === undefined) return;
    this.#watch();
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    o.follow.ended.then(end, end);
    const untilMs = o.until === undefined ? undefined : Number(o.until / 1_000_000n) + 1 - Date.now();
    if (untilMs !== undefined && untilMs < timerMsMax) this.#timer = setTimeout(end, Math.max(0, untilMs));
  }

  #open(): void {
    const { from = "start" } = this.#o;
    const { closed, current } = listLogFiles(this.#path);
    const first = typeof from === "object" ? from.number : from === "end" ? Number.POSITIVE_INFINITY : 0;
    for (const file of closed) if (file.number >= first) this.#add(file);
    const added = current === undefined ? undefined : this.#add(current);
    if (added === undefined) return;
    this.#size = fstatSync(added.fd).size;
    if (from === "end") added.offset = wholeEnd(added.fd, this.#size);
    const [oldest] = this.#files;
    if (typeof from === "object" && oldest?.number === from.number) oldest.offset = from.offset;
  }

  #add({ path, number, compressed, continues }: AddedFile): OpenFile | undefined {
    const fd = openOrNothing(path) ?? (compressed ? undefined : openOrNothing(`${path}.gz`));
    if (fd === undefined) return undefined;
    const { ino: inode, mtimeMs: modifiedMs } = fstatSync(fd);
    const known = this.#files.at(-1);
    if (known?.inode === inode) {
      closeSync(fd);
      known.number = number;
      return known;
    }
    const file = { fd, number, inode, compressed, continues, modifiedMs, offset: 0 };
    this.#files.push(file);
    return file;
  }

  /**
   * Tells a follower that the last file it has is written no more, and that there is another now. It goes on at its own
   * pace; what it has not begun to read, beyond `most` files, it does without.
   */
  rotated(number: number, most: number): void {
    if (this.#disposed) return;
    const path = numberedPath(this.#path, number);
    if (this.#add({ path, number, compressed: false, continues: false }) === undefined) return;
    const surplus = this.#skipping ? 0 : Math.max(0, this.#files.length - 1 - most);
    for (const { fd } of this.#files.splice(1, surplus)) closeSync(fd);
    this.#watch();
    this.#changed = true;
    this.#wake();
  }

  #watch(): void {
    this.#watcher?.close();
    this.#watcher = watchOrNothing(this.#path, () => {
      this.#changed = true;
      this.#wake();
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogFrame> {
    for await (const { frames } of this.batches()) yield* frames;
  }

  /** Frames as they are read together, with their place. */
  async *batches(): AsyncGenerator<LogBatch> {
    const { signal } = this.#o;
    this.#active = true;
    try {
      signal.throwIfAborted();
      this.#skipping = true;
      await this.#skip();
      this.#skipping = false;
      const parser = new LogParser(this.#o);
      const [oldest] = this.#files;
      if (oldest?.continues === true && oldest.offset === 0) parser.skipLine();
      for (let file = this.#files[0]; file !== undefined; file = this.#files[0]) {
        for await (const batch of this.#readFile(file, parser)) {
          if (batch.frames.length > 0) yield batch;
          signal.throwIfAborted();
          if (parser.past) return;
        }
        if (this.#files.length === 1) return;
        this.#files.shift();
        closeSync(file.fd);
      }
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Lets go of files of which nothing is wanted, and finds where to begin. */
  async #skip(): Promise<void> {
    const { since, tail } = this.#o;
    if (since !== undefined) {
      const sinceMs = Number(since / 1_000_000n);
      const old = this.#files.findIndex(
        (file, index) => file.modifiedMs >= sinceMs || index === this.#files.length - 1,
      );
      for (const { fd } of this.#files.splice(0, Math.max(0, old))) closeSync(fd);
    }
    if (tail === undefined || this.#o.from === "end") return;
    let lines = tail;
    for (let index = this.#files.length - 1; index >= 0; index--) {
      const file = this.#files[index];
      if (file === undefined) return;
      const last = index === this.#files.length - 1;
      const size = last ? this.#size : fstatSync(file.fd).size;
      const found = file.compressed
        ? await findCompressedTail(file.fd, lines)
        : await findTail(file.fd, { lines, size, last });
      file.offset = found.offset;
      lines -= found.lines;
      if (found.offset === 0 && index > 0) continue;
      for (const { fd } of this.#files.splice(0, index)) closeSync(fd);
      return;
    }
  }

  /** To the end of a file that is written no more; of the last one, as long as there may be more. */
  async *#readFile(file: OpenFile, parser: LogParser): AsyncGenerator<LogBatch> {
    const { follow, signal } = this.#o;
    for (;;) {
      signal.throwIfAborted();
      // Taken before the read: what comes meanwhile asks for another one.
      const last = this.#files.length > 1 || follow === undefined || this.#ended;
      const told = this.#changed;
      this.#changed = false;
      const before = file.offset;
      if (!file.compressed && fstatSync(file.fd).size < before) {
        // Emptied in its place: what is there now is new.
        file.offset = 0;
        parser.forget();
      }
      this.#buffer ??= readBuffer();
      const parts = file.compressed
        ? readCompressed(file.fd, before)
        : readPlain(file.fd, file.offset, this.#buffer);
      for await (const part of parts) {
        file.offset += part.length;
        const frames = parser.push(part);
        yield { frames, end: { number: file.number, offset: file.offset } };
        if (parser.past) return;
      }
      if (last) return;
      if (this.#files.length === 1) await this.#sleep(told || file.offset !== before);
    }
  }

  /** Until something happens; `settling`: or for a moment, as a change may have gone untold. */
  async #sleep(settling: boolean): Promise<void> {
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#changed || this.#ended || this.#o.signal.aborted) resolve();
      else if (settling) timer = setTimeout(resolve, settleMs);
    });
    clearTimeout(timer);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#o.signal.removeEventListener("abort", this.#close);
    clearTimeout(this.#timer);
    this.#watcher?.close();
    for (const { fd } of this.#files.splice(0)) closeSync(fd);
    this.#closed?.();
    this.#wake();
  }
}

function openOrNothing(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** Removed already, there is nothing to watch: the end is what is waited for. */
function watchOrNothing(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, changed);
    watcher.on("error", () => undefined);
    return watcher;
  } catch {
    return undefined;
  }
}
