/**
 * What a handler answers with, and the one place where a Fault becomes a status.
 * Owns: the shapes of answers. Promises: errors in Docker's shape, never a stack. Never: touches a socket.
 */
import type { Duplex } from "node:stream";
import { Fault, type FaultKind } from "#spec/fault.ts";
import type { Sink } from "./outlet.ts";
import { MalformedRequest } from "./request-head.ts";

/** Names as they go out; values must be free of line breaks. */
export type ReplyHeaders = Readonly<Record<string, string>>;

/** An answer known before its head is sent. */
export interface FixedReply {
  readonly kind: "fixed";
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: string;
}

/** An answer whose head goes out at once, and whose body is written as it comes. */
export interface StreamReply {
  readonly kind: "stream";
  readonly status: number;
  readonly headers: ReplyHeaders;
  /** Writes the body; throwing cuts the connection so that the client sees an incomplete answer. */
  readonly write: (sink: Sink) => Promise<void>;
}

/** A connection given up by HTTP: both halves, each closed on its own. */
export interface Hijacked {
  /** What the client sends, beginning with what followed the request; ends when it closes its half. Iterate once. */
  readonly input: AsyncIterable<Uint8Array>;
  readonly output: Sink;
  /** Aborted when the connection is gone, not when the client merely closed its half. */
  readonly gone: AbortSignal;
  /** The same connection as one node stream, for protocols that want it; not together with `input` and `output`. */
  readonly duplex: () => Duplex;
}

/** An answer that takes over the connection. When `run` settles the connection is closed. */
export interface HijackReply {
  readonly kind: "hijack";
  readonly status: 101 | 200;
  readonly statusText: string;
  readonly headers: ReplyHeaders;
  /** `run` writes the head itself. */
  readonly ownHead?: true;
  readonly run: (connection: Hijacked) => Promise<void>;
}

export type Reply = FixedReply | StreamReply | HijackReply;

/** JSON the way Go writes it: a newline at the end. */
export function jsonReply(value: unknown, status = 200): FixedReply {
  return { kind: "fixed", status, headers: jsonHeaders, body: `${JSON.stringify(value)}\n` };
}

/** No body: 204, or 304 for "already so". */
export function emptyReply(status: 200 | 201 | 204 | 304 = 204): FixedReply {
  return { kind: "fixed", status, headers: {}, body: "" };
}

export function streamReply(contentType: string, write: StreamReply["write"]): StreamReply {
  return { kind: "stream", status: 200, headers: { "Content-Type": contentType }, write };
}

/** The head Docker's clients wait for: 101 when they asked to upgrade (to `protocol`), a bare 200 otherwise. */
export function hijackReply(
  upgrade: "tcp" | "h2c" | undefined,
  contentType: string,
  run: HijackReply["run"],
): HijackReply {
  if (upgrade === undefined) {
    const headers = { "Content-Type": rawStream };
    return { kind: "hijack", status: 200, statusText: "OK", headers, run };
  }
  const headers = {
    ...(upgrade === "tcp" && { "Content-Type": contentType }),
    Connection: "Upgrade",
    Upgrade: upgrade,
  };
  return { kind: "hijack", status: 101, statusText: "UPGRADED", headers, run };
}

/** Media type of a terminal's bytes, and of every stream for API versions before 1.42. */
export const rawStream = "application/vnd.docker.raw-stream";
/** Media type of stdout and stderr in frames. */
export const multiplexedStream = "application/vnd.docker.multiplexed-stream";

export const jsonHeaders: ReplyHeaders = { "Content-Type": "application/json" };

const statusByKind: Readonly<Record<FaultKind, number>> = {
  invalid: 400,
  unauthorized: 401,
  denied: 403,
  "not-found": 404,
  conflict: 409,
  internal: 500,
  timeout: 500,
  cancelled: 500,
  unsupported: 501,
  unavailable: 503,
};

/** The status dockerd gives for the same reason. */
export function statusOf(fault: Fault): number {
  return statusByKind[fault.kind];
}

/** Anything thrown, as Docker's error body. */
export function errorReply(thrown: unknown): FixedReply {
  if (thrown instanceof MalformedRequest) return messageReply(thrown.status, thrown.message);
  const fault = Fault.from(thrown);
  return messageReply(statusOf(fault), fault.message);
}

/** Docker's error body with a status that no Fault stands for. */
export function messageReply(status: number, message: string): FixedReply {
  return jsonReply({ message }, status);
}
