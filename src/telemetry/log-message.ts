/** Pure. Lines as receivers of logs get them: long ones in parts, as dockerd cuts and marks them. */
import type { LogFrame } from "./log-parser.ts";

export interface LogMessage {
  readonly stream: "stdout" | "stderr";
  /** Of the line's first byte. */
  readonly timeNano: bigint;
  /** Without the newline. */
  readonly line: Uint8Array;
  /** Of a line that is longer than one message. */
  readonly partial?: { readonly id: string; readonly ordinal: number; readonly last: boolean } | undefined;
}

const messageBytesMax = 16 << 10;
const newline = 0x0a;

interface Begun {
  timeNano: bigint;
  parts: Uint8Array[];
  bytes: number;
  id: string;
  ordinal: number;
}

/** Joins what conmon wrote in parts. Holds at most one message of each stream. */
export class LineAssembler {
  readonly #newId: () => string;
  readonly #begun: Partial<Record<"stdout" | "stderr", Begun>> = {};

  /** `newId` makes the id that the parts of a long line have in common. */
  constructor(newId: () => string) {
    this.#newId = newId;
  }

  /** True when no line is begun: what comes next can be understood without what came before. */
  get isEmpty(): boolean {
    return this.#begun.stdout === undefined && this.#begun.stderr === undefined;
  }

  push({ stream, timeNano, bytes }: LogFrame): LogMessage[] {
    const ends = bytes.at(-1) === newline;
    const content = ends ? bytes.subarray(0, -1) : bytes;
    let begun = this.#begun[stream];
    if (begun === undefined && ends && content.length <= messageBytesMax) {
      return [{ stream, timeNano, line: content }];
    }
    const messages: LogMessage[] = [];
    begun ??= { timeNano, parts: [], bytes: 0, id: "", ordinal: 0 };
    this.#begun[stream] = begun;
    for (let at = 0; at < content.length; ) {
      const part = content.subarray(at, at + messageBytesMax - begun.bytes);
      begun.parts.push(part);
      begun.bytes += part.length;
      at += part.length;
      if (begun.bytes === messageBytesMax) messages.push(this.#part(stream, begun, false));
    }
    if (!ends) return messages;
    delete this.#begun[stream];
    return [...messages, this.#part(stream, begun, true)];
  }

  #part(stream: "stdout" | "stderr", begun: Begun, last: boolean): LogMessage {
    const line = Buffer.concat(begun.parts);
    begun.parts = [];
    begun.bytes = 0;
    const { timeNano } = begun;
    if (last && begun.ordinal === 0) return { stream, timeNano, line };
    if (begun.ordinal === 0) begun.id = this.#newId();
    begun.ordinal++;
    return { stream, timeNano, line, partial: { id: begun.id, ordinal: begun.ordinal, last } };
  }

  /** What is left when the log ends in the middle of a line. */
  end(): LogMessage[] {
    const messages: LogMessage[] = [];
    for (const stream of ["stdout", "stderr"] as const) {
      const begun = this.#begun[stream];
      delete this.#begun[stream];
      if (begun !== undefined && begun.bytes > 0)
        messages.push(this.#part(stream, begun, begun.ordinal === 0));
    }
    return messages;
  }
}
