/** The writing end of a process's stdin. What its reader does not take waits with the sender. */
import { closeSync } from "node:fs";

/** What the sink gathers before it must be flushed; every write is. */
const gatherBytes = 64 << 10;

export class ExecInput implements AsyncDisposable {
  readonly #fd: number;
  readonly #sink: Bun.FileSink;
  #ended = false;

  /** Owns `fd`, which does not block. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#sink = Bun.file(fd).writer({ highWaterMark: gatherBytes });
  }

  /** Resolves when the kernel has the bytes; those for a process that is gone or reads no more are lost. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#ended) return;
    try {
      await this.#sink.write(bytes);
      await this.#sink.flush();
    } catch {
      await this.end();
    }
  }

  /** End of file for the process. Idempotent. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      await this.#sink.end();
    } catch {
      // Nobody reads any more.
    } finally {
      closeSync(this.#fd);
    }
  }

  /** Lets go without ending: the process's end does that. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
