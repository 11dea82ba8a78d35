/**
 * Answers of the engine's own, ready-made: containers ask the same again and again, and most of an answer's cost is taking the
 * question apart and putting the answer together.
 * Promises: never older than the names; bounded; several addresses still take turns.
 */
import { answer, type Lookups, type Outcome } from "./dns-answer.ts";

interface Known {
  /** One for each turn. */
  readonly replies: (Buffer | undefined)[];
}

/** Questions of one container that are remembered, and bytes of the longest. */
const [questionsMax, questionBytesMax] = [512, 300];
/** Who has more addresses than this is answered anew each time. */
const turnsMax = 64;

export class OwnAnswers {
  readonly #known = new Map<string, Known>();
  #version = -1;

  /** As `answer`, for questions by UDP. `version`: another one whenever names may have changed. */
  answer(query: Buffer, lookups: Lookups, o: { readonly turn: number; readonly version: number }): Outcome {
    if (o.version !== this.#version) {
      this.#known.clear();
      this.#version = o.version;
    }
    // Everything behind the id.
    const key = query.toString("latin1", 2);
    const known = this.#known.get(key);
    const ready = known?.replies[o.turn % known.replies.length];
    if (ready !== undefined) {
      const bytes = Buffer.from(ready);
      query.copy(bytes, 0, 0, 2);
      return { kind: "reply", bytes, turns: known?.replies.length ?? 1 };
    }
    const outcome = answer(query, lookups, { transport: "udp", turn: o.turn });
    if (outcome.kind === "reply") this.#remember(key, known, o.turn, outcome);
    return outcome;
  }

  #remember(key: string, known: Known | undefined, turn: number, o: { bytes: Buffer; turns: number }): void {
    if (o.turns > turnsMax || key.length > questionBytesMax) return;
    const kept = known ?? { replies: Array<Buffer | undefined>(o.turns).fill(undefined) };
    kept.replies[turn % kept.replies.length] = o.bytes;
    if (known !== undefined) return;
    if (this.#known.size >= questionsMax) this.#known.clear();
    this.#known.set(key, kept);
  }
}
