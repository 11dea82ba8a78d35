/**
 * Bytes both ways over one connection, for bodies that are large: as few copies as the platform allows.
 * Promises: what `send` was given is the caller's again when it resolves; a wire that nobody reads holds back its peer.
 */
export interface Wire {
  /** Resolves when more may be sent, or never will be. */
  send(bytes: Uint8Array): Promise<void>;
  /** False once nobody takes what is sent. */
  readonly writable: boolean;
  /** Ends when the other side does. @throws What broke the connection. */
  readonly incoming: AsyncIterator<Uint8Array>;
  /** Idempotent. With a reason `incoming` throws it. */
  destroy(reason?: Error): void;
}
