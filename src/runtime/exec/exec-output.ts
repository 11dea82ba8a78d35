/**
 * What a process writes into pipes, as one sequence.
 * Owns: the reading ends. Promises: what nobody takes stays in the pipe, so that its writer waits and the engine holds
 * one piece of each at most; what the process wrote itself is never cut off, and what it left running behind cannot keep
 * the sequence from ending.
 */
import { closeSync } from "node:fs";
import { pipeBytes } from "#kernel/files/fifo.ts";

export interface OutputFrame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** A reading end, non-blocking; closed here. */
export interface OutputPipe {
  readonly stream: OutputFrame["stream"];
  readonly fd: number;
}

/** How long a pipe may be silent after the process's end while others hold it open. */
const quietMs = 100;
/** What can be in a pipe and on its way out of it; what comes after that many bytes others wrote. */
const ownBytesMax = 4 * pipeBytes;

export class ExecOutput {
  /** Resolves when every pipe was read to its end. */
  readonly ended: Promise<void>;
  readonly #sources: Source[];
  /** Not more than one of each source. */
  readonly #waiting: OutputFrame[] = [];
  /** Lets the source of a frame go on. */
  readonly #taken = new Map<OutputFrame, () => void>();
  #open: number;
  #dropped = false;
  #wake = (): void => undefined;

  constructor(pipes: readonly OutputPipe[]) {
    this.#open = pipes.length;
    this.#sources = pipes.map((pipe) => new Source(pipe));
    this.ended = Promise.all(this.#sources.map(async (source) => await this.#pump(source))).then(
      () => undefined,
    );
  }

  async #pump(source: Source): Promise<void> {
    try {
      for await (const bytes of source.pieces())
        if (!this.#dropped) await this.#offer({ stream: source.stream, bytes });
    } finally {
      this.#open--;
      this.#wake();
    }
  }

  async #offer(frame: OutputFrame): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#taken.set(frame, resolve);
      this.#waiting.push(frame);
      this.#wake();
    });
    this.#taken.delete(frame);
  }

  /** For one reader. */
  async *frames(): AsyncGenerator<OutputFrame> {
    for (;;) {
      const frame = this.#waiting.shift();
      if (frame !== undefined) {
        yield frame;
        this.#taken.get(frame)?.();
      } else if (this.#open === 0 || this.#dropped) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  /** From now on output is thrown away, so that its writer goes on. */
  drop(): void {
    this.#dropped = true;
    this.#waiting.length = 0;
    for (const resolve of this.#taken.values()) resolve();
    this.#wake();
  }

  /** The process is gone: only what it wrote is still of interest. */
  processEnded(): void {
    for (const source of this.#sources) source.processEnded();
  }
}

class Source {
  readonly stream: OutputFrame["stream"];
  readonly #fd: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #reading = false;
  #processEnded = false;
  #quiet: Timer | undefined;

  constructor({ stream, fd }: OutputPipe) {
    this.stream = stream;
    this.#fd = fd;
    this.#reader = Bun.file(fd).stream().getReader() as ReadableStreamDefaultReader<Uint8Array>;
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    let late = 0;
    try {
      while (late <= ownBytesMax) {
        const bytes = await this.#read();
        if (bytes === undefined) return;
        if (this.#processEnded) late += bytes.length;
        yield bytes;
      }
    } finally {
      await this.#reader.cancel().catch(() => undefined);
      closeSync(this.#fd);
    }
  }

  async #read(): Promise<Uint8Array | undefined> {
    this.#reading = true;
    this.#watchQuiet();
    try {
      return (await this.#reader.read()).value;
    } catch {
      return undefined;
    } finally {
      this.#reading = false;
      clearTimeout(this.#quiet);
    }
  }

  processEnded(): void {
    this.#processEnded = true;
    this.#watchQuiet();
  }

  #watchQuiet(): void {
    if (!this.#processEnded || !this.#reading) return;
    this.#quiet = setTimeout(() => void this.#reader.cancel().catch(() => undefined), quietMs);
  }
}
