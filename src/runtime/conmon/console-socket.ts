/**
 * conmon's attach socket: bytes for stdin go in as messages, output comes out as messages with the stream in front.
 * Owns: the connection. Promises: output that nobody takes stops its sender, unless it is to be dropped; the queue between never holds more than a few messages above its bound.
 */
import type { Socket } from "bun";
import { connectSeqpacket } from "#kernel/sockets/seqpacket.ts";

export interface ConsoleFrame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** conmon reads messages into a buffer of 32 KiB; what is longer it would lose. */
const messageBytesMax = 8 << 10;
/** Of queued output; reading stops above it. */
const queueBytesMax = 256 << 10;
const stdoutMark = 2;

export class ConsoleSocket implements AsyncDisposable {
  /** Resolves when conmon closed its end and everything it sent was read. */
  readonly ended: Promise<void>;
  #keepsOutput: boolean;
  #resolveEnded = (): void => undefined;
  #socket: Socket<undefined> | undefined;
  readonly #queue: ConsoleFrame[] = [];
  #queuedBytes = 0;
  #closed = false;
  #wakeReader = (): void => undefined;
  #wakeWriter = (): void => undefined;

  private constructor(keepsOutput: boolean) {
    this.#keepsOutput = keepsOutput;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** @throws Errno `ENOENT` or `ECONNREFUSED` when the process is gone. */
  static async connect(path: string, o: { readonly output: boolean }): Promise<ConsoleSocket> {
    const console = new ConsoleSocket(o.output);
    const fd = connectSeqpacket(path);
    const options = {
      fd,
      allowHalfOpen: true,
      socket: {
        data: (_: unknown, bytes: Uint8Array) => console.#take(bytes),
        drain: () => console.#wakeWriter(),
        end: () => console.#close(),
        close: () => console.#close(),
        error: () => console.#close(),
      },
    };
    // `fd` works though the types do not know it.
    console.#socket = await Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<undefined>);
    return console;
  }

  #take(message: Uint8Array): void {
    if (!this.#keepsOutput || message.length < 2) return;
    const stream = message[0] === stdoutMark ? "stdout" : "stderr";
    this.#queue.push({ stream, bytes: Uint8Array.prototype.slice.call(message, 1) });
    this.#queuedBytes += message.length;
    if (this.#queuedBytes >= queueBytesMax) this.#socket?.pause();
    this.#wakeReader();
  }

  #close(): void {
    this.#closed = true;
    this.#resolveEnded();
    this.#wakeReader();
    this.#wakeWriter();
  }

  /** Ends when conmon closes: all output was handed over then. For one reader. */
  async *output(): AsyncGenerator<ConsoleFrame> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) {
        const before = this.#queuedBytes;
        this.#queuedBytes -= frame.bytes.length + 1;
        if (before >= queueBytesMax && this.#queuedBytes < queueBytesMax) this.#socket?.resume();
        yield frame;
      } else if (this.#closed) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
    }
  }

  /** Resolves when the kernel has the bytes; bytes for a process that is gone are lost. One writer at a time. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#closed; ) {
      const part = bytes.subarray(at, at + messageBytesMax);
      const written = this.#socket?.write(part) ?? 0;
      if (written > 0) at += written;
      else if (written < 0) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve;
        });
    }
  }

  /** End of file for the process. Idempotent. */
  async end(): Promise<void> {
    if (!this.#closed) this.#socket?.shutdown();
  }

  /** From now on output is thrown away, so that its sender goes on. */
  dropOutput(): void {
    this.#keepsOutput = false;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#socket?.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.end();
    this.#socket?.terminate();
    this.#close();
  }
}
