/**
 * Pure. Takes HTTP chunks apart (RFC 9112, section 7.1), many at a time: clients send archives in chunks of a few bytes.
 */
import { Fault } from "./fault.ts";

/** One size line with its extensions, and all trailers together. */
const lineBytesMax = 4096;
const chunkSize = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/;
const lineFeed = 0x0a;

type State = "size" | "data" | "data end" | "trailer" | "end";

export class ChunkDecoder {
  #state: State = "size";
  /** A line that came in parts. */
  #line = "";
  /** Of the current chunk's data. */
  #left = 0;
  #trailerBytes = 0;

  get ended(): boolean {
    return this.#state === "end";
  }

  /**
   * Adds the data in `bytes` to `data`, not copied. @returns How many of the bytes belong to the body; fewer than all only
   * when it ended. @throws Fault `invalid`.
   */
  push(bytes: Uint8Array, data: Uint8Array[]): number {
    let at = 0;
    while (at < bytes.length && this.#state !== "end") {
      if (this.#state === "data") {
        const end = Math.min(at + this.#left, bytes.length);
        data.push(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = "data end";
        continue;
      }
      const newline = bytes.indexOf(lineFeed, at);
      const end = newline < 0 ? bytes.length : newline;
      if (this.#line.length + end - at > lineBytesMax)
        throw new Fault("invalid", "a line of the chunked body is too long");
      this.#line += latin1(bytes, at, end);
      at = end + 1;
      if (newline < 0) return bytes.length;
      const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
      this.#line = "";
      this.#take(line);
    }
    return at;
  }

  #take(line: string): void {
    if (this.#state === "size") {
      const size = chunkSize.exec(line)?.[1];
      if (size === undefined) throw new Fault("invalid", "invalid byte in chunk length");
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? "trailer" : "data";
    } else if (this.#state === "data end") {
      if (line !== "") throw new Fault("invalid", "malformed chunked encoding");
      this.#state = "size";
    } else if (line === "") this.#state = "end";
    else {
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > lineBytesMax)
        throw new Fault("invalid", "too many trailers after the chunked body");
    }
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}
