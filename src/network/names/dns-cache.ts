/**
 * Answers of others, kept for as long as they say (RFC 1035, RFC 2308).
 * Promises: bounded in number and in size of each; a failure, a cut answer or one without a time is never kept; who asked
 * other servers, or from another place, shares nothing.
 */
import { questionEnd } from "./dns-answer.ts";
import { agedReply, keptSeconds } from "./dns-ttl.ts";

/** Answers kept, and the bytes of the longest. */
const [answersMax, answerBytesMax] = [2048, 4096];

interface Kept {
  readonly reply: Buffer;
  readonly storedMs: number;
  readonly seconds: number;
}

export class DnsCache {
  readonly #kept = new Map<string, Kept>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * `scope`: who is asked, and from where.
   * @returns The answer as of now under the question's id, of at most `bytesMax`; undefined when there is none.
   */
  find(scope: string, query: Buffer, bytesMax: number): { reply: Buffer; secondsLeft: number } | undefined {
    const key = keyOf(scope, query);
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const seconds = Math.floor((this.#nowMs() - kept.storedMs) / 1000);
    if (seconds >= kept.seconds) {
      this.#kept.delete(key);
      return undefined;
    }
    if (kept.reply.length > bytesMax) return undefined;
    return { reply: agedReply(kept.reply, query, seconds), secondsLeft: kept.seconds - seconds };
  }

  store(scope: string, query: Buffer, reply: Buffer): void {
    if (reply.length > answerBytesMax) return;
    const seconds = keptSeconds(reply);
    if (seconds <= 0) return;
    const key = keyOf(scope, query);
    this.#kept.delete(key);
    this.#kept.set(key, { reply: Buffer.from(reply), storedMs: this.#nowMs(), seconds });
    // The oldest goes first.
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= answersMax) break;
      this.#kept.delete(oldest);
    }
  }
}

/** All of the question but its id: flags and extensions change what is answered. */
function keyOf(scope: string, query: Buffer): string {
  const end = questionEnd(query) ?? query.length;
  const question = query.toString("latin1", 12, end).toLowerCase();
  return `${scope}\n${query.toString("latin1", 2, 12)}${question}${query.toString("latin1", end)}`;
}
