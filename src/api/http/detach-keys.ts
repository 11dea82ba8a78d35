/**
 * The key sequence with which a person leaves a terminal without stopping what runs in it.
 * Pure. Owns: its notation and recognition.
 */
import { Fault } from "#spec/fault.ts";

/** What `ctrl-p,ctrl-q` stands for. */
export const defaultDetachKeys: readonly number[] = [0x10, 0x11];

/**
 * Bytes of a sequence such as `ctrl-p,ctrl-q` or `a`; the default one when nothing is given.
 * `word` is Docker's for them where they come from.
 * @throws Fault `invalid` for a key that is neither one character nor `ctrl-` and a letter or one of `@[\]^_`.
 */
export function parseDetachKeys(
  text: string | undefined,
  word: "detach" | "escape" = "detach",
): readonly number[] {
  if (text === undefined || text === "") return defaultDetachKeys;
  return text.split(",").map((key) => {
    const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1 && key.charCodeAt(0) < 0x80) return key.charCodeAt(0);
    throw new Fault("invalid", `Invalid ${word} keys (${text}) provided`);
  });
}

/** Watches input for the sequence. What may be its beginning is held back until the next byte decides. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #held: number[] = [];

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** The bytes to pass on, and whether the sequence was completed; then nothing after it counts. */
  scan(bytes: Uint8Array): { pass: Uint8Array; detached: boolean } {
    if (this.#held.length === 0 && !bytes.includes(this.#keys[0] ?? -1))
      return { pass: bytes, detached: false };
    const pass: number[] = [];
    for (const byte of bytes) {
      this.#held.push(byte);
      while (this.#held.length > 0 && !this.#begins()) pass.push(this.#held.shift() ?? 0);
      if (this.#held.length === this.#keys.length) return { pass: Uint8Array.from(pass), detached: true };
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }

  #begins(): boolean {
    return this.#held.every((byte, index) => byte === this.#keys[index]);
  }
}
