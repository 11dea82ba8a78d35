/**
 * Pure. conmon's k8s-file log: `TIME STREAM TAG TEXT\n`, where tag `F` ends a line of the output and `P` only a part of it.
 * Owns: the format. Promises: every byte of output comes back as it was written, however the log's bytes are cut up.
 */
import { frameHead, frameHeadBytes } from "#spec/frames.ts";
import { RecordTimes } from "./record-times.ts";

export interface LogFrame {
  readonly stream: "stdout" | "stderr";
  readonly timeNano: bigint;
  /** With the newline, if it had one. */
  readonly bytes: Uint8Array;
  /** How many bytes of what was pushed lie behind its record; not of frames that were joined. */
  readonly behind?: number;
}

export interface LogSelection {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since the epoch; both belong to the range. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  /**
   * `plain`: neighbouring lines of one stream come as one frame; `multiplexed`: any lines do, each as a frame of Docker's
   * stream within it. With the time of none: much faster.
   */
  readonly joined?: "plain" | "multiplexed" | undefined;
}

const newline = 0x0a;
const space = 0x20;
const fullTag = 0x46;
/** `2026-01-31T12:00:00.123456789+00:00`, as conmon always writes it. */
const timeLength = 35;
const streamLength = 6;
const headLength = timeLength + 1 + streamLength + 1 + 1 + 1;
/** The `e` of `stderr` against the `o` of `stdout`. */
const streamMark = timeLength + 1 + 3;
const stderrMark = 0x65;
/** Of a record: conmon's buffer is 8 KiB; more is damage, and skipped. */
const recordBytesMax = 1 << 20;

export class LogParser {
  readonly #o: LogSelection;
  readonly #timed: boolean;
  readonly #times = new RecordTimes();
  #rest = Buffer.alloc(0);
  #past = false;
  #skipsLine = false;

  constructor(o: LogSelection) {
    this.#o = o;
    this.#timed = o.joined === undefined || o.since !== undefined || o.until !== undefined;
  }

  /** True once a line lies behind `until`: nothing more will come. */
  get past(): boolean {
    return this.#past;
  }

  /** Leaves out what comes until a line ends: the rest of one whose beginning is gone. */
  skipLine(): void {
    this.#skipsLine = true;
  }

  /** Begins anew, without what was not complete. */
  forget(): void {
    this.#rest = Buffer.alloc(0);
  }

  /** The frames that `bytes` completes. They share no memory with it. */
  push(bytes: Buffer): LogFrame[] {
    const text = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const last = text.lastIndexOf(newline);
    const rest = text.subarray(last + 1);
    this.#rest = rest.length > recordBytesMax ? Buffer.alloc(0) : Buffer.from(rest);
    if (last < 0) return [];
    const { joined } = this.#o;
    if (joined === undefined) return this.#single(text, last + 1);
    return this.#joined(text, last + 1, joined === "multiplexed");
  }

  #single(text: Buffer, length: number): LogFrame[] {
    const frames: LogFrame[] = [];
    for (let at = 0; at < length; ) {
      const end = text.indexOf(newline, at);
      const timeNano = this.#selected(text, at, end);
      if (timeNano !== undefined) {
        const stream = streamOf(text[at + streamMark]);
        const full = text[at + headLength - 2] === fullTag;
        const bytes = Buffer.from(text.subarray(at + headLength, full ? end + 1 : end));
        if (bytes.length > 0) frames.push({ stream, timeNano, bytes, behind: text.length - end - 1 });
      }
      at = end + 1;
    }
    return frames;
  }

  /** A record's head is longer than the head of a frame, so all of it fits in as much memory as the text has. */
  #joined(text: Buffer, length: number, multiplexed: boolean): LogFrame[] {
    const head = multiplexed ? frameHeadBytes : 0;
    const frames: LogFrame[] = [];
    let out = Buffer.allocUnsafe(length);
    let [used, current] = [0, 0];
    const flush = (): void => {
      if (used === 0) return;
      frames.push({ stream: streamOf(current), timeNano: 0n, bytes: out.subarray(0, used) });
      out = out.subarray(used);
      used = 0;
    };
    for (let at = 0; at < length; ) {
      const end = text.indexOf(newline, at);
      if (this.#selected(text, at, end) !== undefined) {
        const mark = text[at + streamMark] ?? 0;
        if (mark !== current && !multiplexed) flush();
        current = mark;
        const full = text[at + headLength - 2] === fullTag;
        const bytes = text.copy(out, used + head, at + headLength, full ? end + 1 : end);
        if (bytes > 0 && multiplexed) frameHead(out, used, streamOf(mark), bytes);
        if (bytes > 0) used += head + bytes;
      }
      at = end + 1;
    }
    flush();
    return frames;
  }

  /** The record's time, when it is wanted; without need for one, any. Undefined also for what is no record. */
  #selected(text: Buffer, at: number, end: number): bigint | undefined {
    if (end - at < headLength - 1 || text[at + timeLength] !== space) return undefined;
    if (this.#skipsLine) {
      this.#skipsLine = text[at + headLength - 2] !== fullTag;
      return undefined;
    }
    const { stdout, stderr, since, until } = this.#o;
    if (!(text[at + streamMark] === stderrMark ? stderr : stdout) || this.#past) return undefined;
    if (!this.#timed) return 0n;
    const timeNano = this.#times.read(text, at);
    if (timeNano === undefined || (since !== undefined && timeNano < since)) return undefined;
    if (until !== undefined && timeNano > until) {
      this.#past = true;
      return undefined;
    }
    return timeNano;
  }
}

function streamOf(mark: number | undefined): LogFrame["stream"] {
  return mark === stderrMark ? "stderr" : "stdout";
}

/** Whether a record, given from its first byte, ends a line of output. */
export function endsLine(record: Uint8Array, at: number): boolean {
  return record[at + headLength - 2] === fullTag;
}
