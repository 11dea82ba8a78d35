/** For tests only: made-up input. Each run has a seed; what fails says which, and which round, so that it can be repeated. */
import { isFault } from "./fault.ts";

/** Chance that repeats itself: xorshift32, good enough to fall over things with. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** From 0 to `count` - 1. */
  below(count: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % count;
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** Words of an alphabet, joined by nothing. */
  text(words: readonly string[], most: number): string {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(words)).join("");
  }
}

/** Bytes with up to five things done to them: changed, taken out, doubled, cut off, exchanged for words of the format. */
export function mutated(dice: Dice, bytes: Uint8Array, words: readonly string[]): Buffer {
  let result = Buffer.from(bytes);
  for (let times = dice.below(6); times > 0; times--) {
    const at = dice.below(result.length + 1);
    const length = dice.below(Math.min(64, result.length - at) + 1);
    const [before, after] = [result.subarray(0, at), result.subarray(at + length)];
    const middles = [
      () => dice.bytes(length),
      () => Buffer.alloc(0),
      () => Buffer.concat([result.subarray(at, at + length), result.subarray(at, at + length)]),
      () => Buffer.from(dice.pick(words)),
      () => Buffer.alloc(length, dice.pick([0, 0x20, 0x30, 0x37, 0x7f, 0x80, 0xff])),
    ];
    result = dice.chance(12) ? result.subarray(0, at) : Buffer.concat([before, dice.pick(middles)(), after]);
  }
  return result;
}

/** For so long, in milliseconds: every run of the tests tries others. */
const fuzzMs = 400;
/** On a busy machine too. */
const roundsMin = 500;
/** One input that takes longer than this hangs. In milliseconds of this process's own time. */
const inputMs = 3000;

/**
 * Makes inputs from `seed` and checks them. `check` throws for what must not be; Faults it lets pass are refusals, which
 * are welcome. @throws An error that names seed, round and input.
 */
export function fuzz<T>(o: {
  /** To repeat what failed. @default another each time */
  readonly seed?: number;
  /** In milliseconds. */
  readonly forMs?: number;
  readonly sample: (dice: Dice) => T;
  readonly check: (input: T) => void;
}): { readonly rounds: number; readonly refused: number } {
  const seed = o.seed ?? Math.floor(Math.random() * 0xffffffff);
  const dice = new Dice(seed);
  const end = performance.now() + (o.forMs ?? fuzzMs);
  let [rounds, refused] = [0, 0];
  for (; rounds < roundsMin || performance.now() < end; rounds++) {
    const input = o.sample(dice);
    const shown = () =>
      input instanceof Uint8Array ? `base64 ${Buffer.from(input).toString("base64")}` : JSON.stringify(input);
    const before = process.cpuUsage().user;
    try {
      o.check(input);
    } catch (thrown) {
      if (!isRefusal(thrown))
        throw new Error(`seed ${seed}, round ${rounds}: ${String(thrown)} for ${shown().slice(0, 20_000)}`, {
          cause: thrown,
        });
      refused++;
    }
    if ((process.cpuUsage().user - before) / 1000 > inputMs)
      throw new Error(`seed ${seed}, round ${rounds}: too long for ${shown().slice(0, 20_000)}`);
  }
  return { rounds, refused };
}

function isRefusal(thrown: unknown): boolean {
  return isFault(thrown, "invalid") || isFault(thrown, "unsupported");
}
