/** Pure. The keys with which a terminal is left: their notation, and finding them in what is typed. */
import { Fault } from "#spec/fault.ts";

/** Ctrl-P Ctrl-Q. */
const defaultKeys: readonly number[] = [0x10, 0x11];

/** Bytes of a sequence such as `ctrl-p,ctrl-q` or `a`. @throws Fault `invalid` in docker's words. */
export function parseKeys(text: string | undefined): readonly number[] {
  if (text === undefined || text === "") return defaultKeys;
  return text.split(",").map((key) => {
    const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1 && key.charCodeAt(0) < 0x80) return key.charCodeAt(0);
    throw new Fault("invalid", `invalid detach keys (${text}): Unknown character: '${key}'`);
  });
}

/** Looks for the keys; what only began like them is passed on with what follows. */
export class DetachKeys {
  readonly #keys: readonly number[];
  #held: number[] = [];

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** Undefined once all keys were typed. */
  pass(bytes: Uint8Array): Uint8Array | undefined {
    const out: number[] = [];
    for (const byte of bytes) {
      this.#held.push(byte);
      while (this.#held.some((each, index) => each !== this.#keys[index])) out.push(this.#held.shift() ?? 0);
      if (this.#held.length === this.#keys.length) return undefined;
    }
    return Uint8Array.from(out);
  }
}
