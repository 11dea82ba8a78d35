/** What conmon says to its parent: JSON lines, `{"data": N, "message": "…"}`. */
import type { Readable } from "node:stream";
import { Fault } from "#spec/fault.ts";

export interface SyncMessage {
  /** A pid, an exit code, or below zero for a failure. */
  readonly data: number;
  readonly message: string;
}

/** More is no message of conmon's. */
const lineCharactersMax = 1 << 20;

/** Line after line. Owns the pipe: dispose to close it. */
export class SyncPipe implements Disposable {
  readonly #pipe: Readable;
  #text = "";
  #ended = false;
  #wake = (): void => undefined;

  constructor(pipe: Readable) {
    this.#pipe = pipe;
    pipe.setEncoding("utf8");
    pipe.on("data", (part: string) => {
      this.#text += part;
      this.#wake();
    });
    for (const event of ["end", "close", "error"])
      pipe.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
  }

  /** The next message; undefined when conmon ended without one. One caller at a time. */
  async next(): Promise<SyncMessage | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0 || this.#ended || this.#text.length > lineCharactersMax) {
        const line = end < 0 ? this.#text : this.#text.slice(0, end);
        this.#text = end < 0 ? "" : this.#text.slice(end + 1);
        return parseSyncMessage(line);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.#pipe.destroy();
  }
}

/** The next message. @throws the signal's reason when it fires first; the pipe is closed then. */
export async function nextUnless(signal: AbortSignal, pipe: SyncPipe): Promise<SyncMessage | undefined> {
  const close = (): void => pipe[Symbol.dispose]();
  signal.addEventListener("abort", close);
  try {
    signal.throwIfAborted();
    const message = await pipe.next();
    signal.throwIfAborted();
    return message;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** Pure. @throws Fault `internal` for what conmon never says. */
export function parseSyncMessage(line: string): SyncMessage | undefined {
  if (line.trim() === "") return undefined;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) {
      const { data, message } = value as Record<string, unknown>;
      if (typeof data === "number") return { data, message: typeof message === "string" ? message : "" };
    }
  } catch {
    // Said below.
  }
  throw new Fault("internal", `conmon said what is not understood: ${line.slice(0, 200)}`);
}
