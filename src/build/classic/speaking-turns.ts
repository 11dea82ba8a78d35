/**
 * Stages that run at once and speak one after another: what a later one says is held until those before it are done.
 * A stage that has said too much before its turn waits.
 */

import type { StagePlan } from "#build/language/plan.ts";
import type { StepReporter } from "#build/request/messages.ts";

/** Things said that are held for one stage. */
const heldMax = 1024;

type Said = (reporter: StepReporter) => Promise<void> | void;

interface Speaker {
  readonly held: Said[];
  readonly turn: PromiseWithResolvers<void>;
  done: boolean;
}

export class SpeakingTurns {
  readonly #reporter: StepReporter;
  readonly #speakers = new Map<StagePlan, Speaker>();
  /** What was held is said in its order. */
  #saying: Promise<void> = Promise.resolve();

  constructor(reporter: StepReporter) {
    this.#reporter = reporter;
  }

  /** The stage's voice; its place is that of the stage in the file. Idempotent. */
  add(stage: StagePlan): StepReporter {
    const speaker = this.#speakers.get(stage) ?? { held: [], turn: Promise.withResolvers(), done: false };
    this.#speakers.set(stage, speaker);
    this.#pass();
    const say = (what: Said) => this.#say(speaker, what);
    return {
      say: (text) => say((reporter) => reporter.say(text)),
      step: (number, count, source) => say((reporter) => reporter.step(number, count, source)),
      imageId: (id) => say((reporter) => reporter.imageId(id)),
      output: (frame) => say((reporter) => reporter.output(frame)),
      progress: (message) => void say((reporter) => reporter.progress(message)),
      endOutput: () => void say((reporter) => reporter.endOutput()),
    };
  }

  finish(stage: StagePlan): void {
    const speaker = this.#speakers.get(stage);
    if (speaker !== undefined) speaker.done = true;
    this.#pass();
  }

  /** Everything held is said, whose turn it never was too. */
  async end(): Promise<void> {
    for (const speaker of this.#speakers.values()) speaker.done = true;
    this.#pass();
    await this.#saying;
  }

  #first(): Speaker | undefined {
    const inOrder = [...this.#speakers].sort(([left], [right]) => left.index - right.index);
    return inOrder.map(([, speaker]) => speaker).find(({ done, held }) => !done || held.length > 0);
  }

  async #say(speaker: Speaker, what: Said): Promise<void> {
    speaker.held.push(what);
    if (this.#first() === speaker) {
      this.#pass();
      await this.#saying;
      return;
    }
    if (speaker.held.length >= heldMax) await speaker.turn.promise;
  }

  /** Lets the first speak, and the next when it is done. */
  #pass(): void {
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      first.turn.resolve();
      const said = first.held.splice(0);
      this.#saying = this.#saying.then(async () => {
        for (const what of said) await what(this.#reporter);
      });
      if (!first.done) return;
    }
  }
}
