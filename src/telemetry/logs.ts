/**
 * What containers wrote, from the files that conmon keeps.
 * Owns: a descriptor and a watch for each reader while it reads. Promises: follows without missing or repeating a byte,
 * sleeps while nothing is written, holds a bounded part of the log, reads a file to its end that was deleted meanwhile.
 * Never: writes, or holds up who writes.
 */
import { closeSync, type FSWatcher, fstatSync, openSync, read as readCallback, watch } from "node:fs";
import { promisify } from "node:util";
import { type LogFrame, LogParser, type LogSelection } from "./log-parser.ts";
import { tailOffset, wholeEnd } from "./log-tail.ts";

const read = promisify(readCallback);
const readBytes = 256 << 10;
/**
 * Bun's watcher swallows a change within a millisecond of the one it told of (measured: 551 of 3000 writes). So after a
 * change the file is looked at again until nothing new came for longer than that; only then does the reader sleep.
 */
const settleMs = 4;

export interface LogRead extends LogSelection {
  /** Only so many lines at the end of what is there. */
  readonly tail?: number | undefined;
  /** Where to begin, decided at the call. @default "start" */
  readonly from?: "start" | "end";
  /** Goes on with what is written later; ends with the file once `ended` is settled. */
  readonly follow?: { readonly ended: Promise<unknown> } | undefined;
  readonly signal: AbortSignal;
}

export class Logs {
  /** Opens the file at the call, so that nothing is lost when it is removed before it is read. None is an empty one. */
  read(path: string, o: LogRead): AsyncIterable<LogFrame> {
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return nothing();
      throw error;
    }
    return new LogReader(fd, path, o);
  }
}

async function* nothing(): AsyncGenerator<LogFrame> {}

/** Read once. A reader that is never read lets go of its file with the signal. */
class LogReader implements AsyncIterable<LogFrame> {
  readonly #fd: number;
  readonly #o: LogRead;
  readonly #watcher: FSWatcher | undefined;
  readonly #close: () => void;
  #offset: number;
  #changed = true;
  #ended = false;
  #closed = false;
  #active = false;
  #wake = (): void => undefined;

  constructor(fd: number, path: string, o: LogRead) {
    this.#fd = fd;
    this.#o = o;
    const size = fstatSync(fd).size;
    this.#offset = startOffset(fd, size, o);
    // A read under way must not find its descriptor in other hands: the reader then closes it itself.
    this.#close = () => (this.#active ? this.#wake() : this.#dispose());
    o.signal.addEventListener("abort", this.#close);
    if (o.follow === undefined) return;
    this.#watcher = watchOrNothing(path, () => {
      this.#changed = true;
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    o.follow.ended.then(end, end);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogFrame> {
    const { follow, signal } = this.#o;
    let parser = new LogParser(this.#o);
    const buffer = Buffer.allocUnsafeSlow(readBytes);
    this.#active = true;
    try {
      for (;;) {
        signal.throwIfAborted();
        // Taken before the read: what comes meanwhile asks for another one.
        const last = follow === undefined || this.#ended;
        const told = this.#changed;
        this.#changed = false;
        const before = this.#offset;
        if (fstatSync(this.#fd).size < before) {
          // Emptied in its place: what is there now is new.
          this.#offset = 0;
          parser = new LogParser(this.#o);
        }
        let got = 0;
        do {
          ({ bytesRead: got } = await read(this.#fd, buffer, 0, readBytes, this.#offset));
          this.#offset += got;
          yield* parser.push(buffer.subarray(0, got));
          if (parser.past) return;
          signal.throwIfAborted();
        } while (got > 0);
        if (last) return;
        await this.#sleep(told || this.#offset !== before);
      }
    } finally {
      this.#dispose();
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

  #dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#o.signal.removeEventListener("abort", this.#close);
    this.#watcher?.close();
    closeSync(this.#fd);
    this.#wake();
  }
}

function startOffset(fd: number, size: number, o: LogRead): number {
  if (o.from === "end") return wholeEnd(fd, size);
  return o.tail === undefined ? 0 : tailOffset(fd, o.tail, size);
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
