/**
 * Pure. Times of log records, read where they stand: `2026-01-31T12:00:00.123456789+00:00`. Records that follow one another
 * mostly have their second in common, so only its fraction is read for each.
 */
import { parseRfc3339 } from "#spec/unix-time.ts";

/** Up to the point before the fraction. */
const secondBytes = 19;
const fractionBytes = 9;
const zoneAt = secondBytes + 1 + fractionBytes;
const zoneBytes = 6;
const zero = 0x30;

export class RecordTimes {
  /** A second and a zone as they stood in the last record, and when that was. */
  readonly #known = Buffer.alloc(secondBytes + zoneBytes);
  #knownNano: bigint | undefined;

  /** Nanoseconds since the epoch; undefined for what is no time. */
  read(text: Buffer, at: number): bigint | undefined {
    if (this.#knownNano === undefined || !this.#isKnown(text, at)) this.#learn(text, at);
    if (this.#knownNano === undefined) return undefined;
    let nanos = 0;
    for (let index = at + secondBytes + 1; index < at + zoneAt; index++) {
      const digit = (text[index] ?? 0) - zero;
      if (digit < 0 || digit > 9) return undefined;
      nanos = nanos * 10 + digit;
    }
    return this.#knownNano + BigInt(nanos);
  }

  #isKnown(text: Buffer, at: number): boolean {
    // From the right: seconds differ sooner than years.
    for (let index = secondBytes - 1; index >= 0; index--)
      if (text[at + index] !== this.#known[index]) return false;
    for (let index = 0; index < zoneBytes; index++)
      if (text[at + zoneAt + index] !== this.#known[secondBytes + index]) return false;
    return true;
  }

  #learn(text: Buffer, at: number): void {
    const second = text.toString("latin1", at, at + secondBytes);
    const zone = text.toString("latin1", at + zoneAt, at + zoneAt + zoneBytes);
    this.#knownNano = parseRfc3339(second + zone);
    this.#known.write(second + zone, "latin1");
  }
}
