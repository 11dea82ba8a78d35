/**
 * Pure. Where in a zstd stream one is (RFC 8878, section 3): whether it ended at the end of a frame, which the platform's
 * decompressor does not tell.
 */

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const dictionaryBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;
const rleBlock = 1;

type Awaited = "magic" | "skippable size" | "descriptor" | "block";
const headerBytes: Readonly<Record<Awaited, number>> = {
  magic: 4,
  "skippable size": 4,
  descriptor: 1,
  block: 3,
};

/** Follows a stream as it comes; looks at headers only. */
export class ZstdFrames {
  #awaited: Awaited = "magic";
  readonly #header: number[] = [];
  /** Bytes that are of no interest, before the next header. */
  #skip = 0;
  #checksumBytes = 0;

  /** False in the middle of a frame. */
  get complete(): boolean {
    return this.#awaited === "magic" && this.#header.length === 0 && this.#skip === 0;
  }

  /** What is no zstd is left for the decompressor to complain of. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const skipped = Math.min(this.#skip, bytes.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (at === bytes.length) return;
      this.#header.push(bytes[at] ?? 0);
      at++;
      if (this.#header.length === headerBytes[this.#awaited]) this.#take(little(this.#header.splice(0)));
    }
  }

  #take(value: number): void {
    switch (this.#awaited) {
      case "magic":
        this.#awaited = (value & 0xfffffff0) >>> 0 === skippableMagic ? "skippable size" : "descriptor";
        if (this.#awaited === "descriptor" && value !== frameMagic) this.#skip = Number.POSITIVE_INFINITY;
        return;
      case "skippable size":
        this.#skip = value;
        this.#awaited = "magic";
        return;
      case "descriptor": {
        const single = (value & 0x20) !== 0;
        const contentSize = contentSizeBytes[(value >> 6) as 0 | 1 | 2 | 3];
        this.#checksumBytes = (value & 4) === 0 ? 0 : 4;
        this.#skip =
          (single ? Math.max(contentSize, 1) : 1 + contentSize) +
          dictionaryBytes[(value & 3) as 0 | 1 | 2 | 3];
        this.#awaited = "block";
        return;
      }
      case "block": {
        const isLast = (value & 1) !== 0;
        this.#skip = ((value >> 1) & 3) === rleBlock ? 1 : value >> 3;
        if (!isLast) return;
        this.#skip += this.#checksumBytes;
        this.#awaited = "magic";
      }
    }
  }
}

function little(bytes: readonly number[]): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
