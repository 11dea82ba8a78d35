/** Whether and when to ask a registry again. */
import { Fault } from "#spec/fault.ts";

/** The longest pause before an attempt, whatever the registry asks for. In milliseconds. */
export const pauseMaxMs = 60_000;
const retried = new Set([408, 429, 500, 502, 503, 504]);

/** `Retry-After` in milliseconds: seconds or an HTTP date (RFC 9110 section 10.2.3). */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/**
 * How long to wait after failure number `attempt` (from 1); undefined to give up. `random` is in [0, 1): a crowd that failed
 * together does not come back together.
 */
export function pauseMs(
  fault: Fault,
  o: {
    readonly attempt: number;
    readonly maxAttempts: number;
    readonly delayMs: number;
    readonly random: number;
  },
): number | undefined {
  if (o.attempt >= o.maxAttempts || !isPassing(fault)) return undefined;
  const asked = fault.detail["retryAfterMs"];
  if (typeof asked === "number") return asked > pauseMaxMs ? undefined : asked;
  const full = Math.min(pauseMaxMs, o.delayMs * 2 ** (o.attempt - 1));
  return full / 2 + (full / 2) * o.random;
}

/** True for what may be different next time. */
export function isPassing(fault: Fault): boolean {
  const { status, network } = fault.detail;
  return network !== undefined || (typeof status === "number" && retried.has(status));
}

/** @throws The signal's reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/** Runs `work` until it succeeds, its failure will not pass, or the attempts are used up. */
export async function retrying<T>(
  work: (attempt: number) => Promise<T>,
  o: {
    readonly maxAttempts: number;
    readonly delayMs: number;
    readonly signal: AbortSignal;
    /** Told before each pause, in milliseconds. */
    readonly waiting?: (pauseMs: number) => void;
    /** How many bytes there are: after more than at the failure before, attempts are counted anew. */
    readonly reached?: () => number;
    /** True for what is not waited for, although it might pass. */
    readonly giveUp?: (fault: Fault) => boolean;
  },
): Promise<T> {
  let before = o.reached?.() ?? 0;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (thrown) {
      o.signal.throwIfAborted();
      const fault = Fault.from(thrown);
      const wait = pauseMs(fault, { ...o, attempt, random: Math.random() });
      if (wait === undefined || o.giveUp?.(fault) === true) throw fault;
      o.waiting?.(wait);
      const reached = o.reached?.() ?? 0;
      if (reached > before) attempt = 0;
      before = reached;
      await pause(wait, o.signal);
    }
  }
}
