/** What takes the output of containers away: one of Docker's log drivers, connected. */
import type { LogMessage } from "./log-message.ts";

export interface LogReceiver extends Disposable {
  /**
   * Hands messages over, in order; resolves when the receiver has them, as far as its protocol can tell.
   * @throws when the connection is lost: then the same messages are sent again through another.
   */
  send(messages: readonly LogMessage[]): Promise<void>;
}

/** How one container's output reaches its receiver. */
export interface LogRoute {
  /** @throws Fault `unavailable` saying what cannot be reached. */
  readonly connect: (signal: AbortSignal) => Promise<LogReceiver>;
  /** Whether a container only starts when the receiver can be reached, as dockerd has it. */
  readonly connectsAtStart: boolean;
  /** Between attempts to reach it; grows. */
  readonly retryMs: number;
  /** After so many attempts in vain, messages are given up. @default never */
  readonly attemptsMax?: number | undefined;
}
