/**
 * Tells others what happened to repositories: one POST of JSON for each event, in the order of events.
 * Promises: a bounded queue and a bounded number of attempts; what is lost is counted. Never: holds up an answer, or
 * follows a redirect.
 */
import { randomUUID } from "node:crypto";
import type { RegistryEvent } from "./registry-server.ts";

export interface Webhook {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Events that wait for one receiver. */
const queueMax = 1000;
const attemptsMax = 5;
/** Before the second attempt; doubles after. */
const firstDelayMs = 200;
const answerMs = 10_000;

export class Webhooks {
  readonly #receivers: readonly { readonly hook: Webhook; readonly queue: string[] }[];
  readonly #busy = new Set<Webhook>();
  readonly #signal: AbortSignal;
  readonly #lost: () => void;

  constructor(hooks: readonly Webhook[], o: { readonly signal: AbortSignal; readonly lost: () => void }) {
    this.#receivers = hooks.map((hook) => ({ hook, queue: [] }));
    this.#signal = o.signal;
    this.#lost = o.lost;
  }

  tell(event: RegistryEvent): void {
    if (this.#receivers.length === 0) return;
    const body = JSON.stringify({ id: randomUUID(), timestamp: new Date().toISOString(), ...event });
    for (const { hook, queue } of this.#receivers) {
      if (queue.length >= queueMax) this.#lost();
      else queue.push(body);
      void this.#send(hook, queue);
    }
  }

  async #send(hook: Webhook, queue: string[]): Promise<void> {
    if (this.#busy.has(hook)) return;
    this.#busy.add(hook);
    for (let body = queue.shift(); body !== undefined; body = queue.shift())
      if (!(await this.#deliver(hook, body))) this.#lost();
    this.#busy.delete(hook);
  }

  async #deliver(hook: Webhook, body: string): Promise<boolean> {
    for (let attempt = 0; attempt < attemptsMax && !this.#signal.aborted; attempt++) {
      if (attempt > 0) await Bun.sleep(firstDelayMs * 2 ** (attempt - 1));
      try {
        const answer = await fetch(hook.url, {
          method: "POST",
          headers: { "Content-Type": "application/json", ...hook.headers },
          body,
          redirect: "manual",
          signal: AbortSignal.any([this.#signal, AbortSignal.timeout(answerMs)]),
        });
        await answer.body?.cancel();
        if (answer.ok) return true;
      } catch {
        // Not there, or too slow: again, as often as is meant.
      }
    }
    return false;
  }
}
