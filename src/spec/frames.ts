/**
 * Pure. Docker's multiplexed streams: each frame has a stream's number, three zeros, and a big-endian length in front.
 * (Engine API, "Attach to a container", stream format.)
 */
import { Fault } from "./fault.ts";

export interface Frame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

export const frameHeadBytes = 8;
const numbers = { stdout: 1, stderr: 2 } as const;
/** The number under which an engine reports its own failure. */
const faultNumber = 3;

/** Writes the head of a frame with so many bytes into `into`, from `at` on. By hand: it is written for each line of a log. */
export function frameHead(into: Uint8Array, at: number, stream: Frame["stream"], bytes: number): void {
  into[at] = numbers[stream];
  into[at + 1] = 0;
  into[at + 2] = 0;
  into[at + 3] = 0;
  into[at + 4] = bytes >>> 24;
  into[at + 5] = bytes >>> 16;
  into[at + 6] = bytes >>> 8;
  into[at + 7] = bytes;
}

/** Takes multiplexed bytes apart, however they are cut. Hands on parts of long frames as they come. */
export class FrameDecoder {
  readonly #header = new Uint8Array(frameHeadBytes);
  #headerFilled = 0;
  #left = 0;
  #number = 0;

  /** @throws Fault `internal` for what is no such stream, or with the engine's words when it failed. */
  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length; ) {
      if (this.#left === 0) {
        this.#header[this.#headerFilled++] = bytes[at++] ?? 0;
        if (this.#headerFilled === frameHeadBytes) this.#begin();
        continue;
      }
      const part = bytes.subarray(at, at + this.#left);
      at += part.length;
      this.#left -= part.length;
      if (this.#number === faultNumber) throw new Fault("internal", new TextDecoder().decode(part));
      frames.push({ stream: this.#number === numbers.stderr ? "stderr" : "stdout", bytes: part });
    }
    return frames;
  }

  #begin(): void {
    const view = new DataView(this.#header.buffer);
    this.#headerFilled = 0;
    this.#number = view.getUint8(0);
    this.#left = view.getUint32(4);
    if (this.#number > faultNumber || (view.getUint32(0) & 0xffffff) !== 0)
      throw new Fault("internal", `Unrecognized input header: ${this.#number}`);
  }
}
