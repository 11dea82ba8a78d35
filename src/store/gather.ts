/** Pure. Small pieces of a stream, gathered into parts worth sending. */

/** Bytes handed on at a time. */
const partBytes = 256 << 10;

export class Gather {
  readonly #buffer = Buffer.allocUnsafeSlow(partBytes);
  #used = 0;

  get full(): boolean {
    return this.#used === this.#buffer.length;
  }

  get empty(): boolean {
    return this.#used === 0;
  }

  /** Takes some of `bytes`, beginning at `from`, and says how much. */
  take(bytes: Buffer, from: number): number {
    const taken = bytes.copy(this.#buffer, this.#used, from);
    this.#used += taken;
    return taken;
  }

  /** What was gathered, lent until more is taken: fresh memory for every part costs more than what is done with it. */
  emit(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    return bytes;
  }
}
