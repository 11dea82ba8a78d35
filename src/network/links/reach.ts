/**
 * Connections made from within a container's network namespace, by no process in it.
 * Promises: the thread is in that namespace only while the socket is made, never while anything is waited for.
 * Never: resolves a name.
 */
import type { Socket } from "bun";
import { inNamespace } from "#kernel/network/netns.ts";
import { Fault } from "#spec/fault.ts";
import { bracketed } from "#spec/ip.ts";

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly reason: string;
  /** Its beginning. */
  readonly body: Uint8Array;
}

/** Bytes of an answer that are read, head and body. */
const answerMax = 16 * 1024;

/** Resolves when it is connected; the connection is closed again. @throws Fault `unavailable` with the reason. */
export async function reachTcp(pid: number, to: Target, o: { readonly signal: AbortSignal }): Promise<void> {
  await converse(pid, to, "", o.signal);
}

/** Asks with GET. @throws Fault `unavailable` with the reason. */
export async function reachHttp(
  pid: number,
  to: Target & { readonly path: string },
  o: { readonly signal: AbortSignal },
): Promise<HttpAnswer> {
  const head = [
    `GET ${to.path} HTTP/1.1`,
    `Host: ${bracketed(to.host)}:${to.port}`,
    "User-Agent: wherry-health-check",
    "Accept: */*",
    "Connection: close",
  ];
  return parseAnswer(await converse(pid, to, `${head.join("\r\n")}\r\n\r\n`, o.signal));
}

/** Pure. @throws Fault `unavailable` when it is no answer of HTTP/1. */
export function parseAnswer(bytes: Buffer): HttpAnswer {
  const end = bytes.indexOf("\r\n\r\n");
  const [line = ""] = bytes.toString("latin1", 0, end < 0 ? bytes.length : end).split("\r\n");
  const [, status, reason = ""] = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(line) ?? [];
  if (status === undefined || end < 0) {
    const what = bytes.length === 0 ? "closed the connection without an answer" : "does not answer in HTTP/1";
    throw new Fault("unavailable", `the container ${what}`);
  }
  return { status: Number(status), reason, body: bytes.subarray(end + 4) };
}

/** Pure. Whether nothing more is to come, of a server that leaves the connection open. */
export function isWhole(bytes: Buffer): boolean {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = bytes.toString("latin1", 0, end + 2);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
  if (status === 204 || status === 304) return true;
  if (/^transfer-encoding:.*\bchunked\b/im.test(head)) return bytes.indexOf("\r\n0\r\n", end) >= 0;
  const length = /^content-length:\s*(\d+)\s*$/im.exec(head)?.[1];
  return length !== undefined && bytes.length >= end + 4 + Number(length);
}

/** Sends `request` and reads to the end; closes as soon as it is connected when there is nothing to send. */
async function converse(pid: number, to: Target, request: string, signal: AbortSignal): Promise<Buffer> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  let size = 0;
  let open: Socket | undefined;
  const fail = (error: unknown): void => {
    const why = error instanceof Error && "code" in error ? String(error.code) : "failed";
    reject(new Fault("unavailable", `connect to ${to.host} port ${to.port}: ${reasons[why] ?? why}`));
  };
  const handlers = {
    open: (socket: Socket) => {
      open = socket;
      if (signal.aborted) socket.terminate();
      else if (request === "") resolve(Buffer.alloc(0));
      else socket.write(request);
    },
    data: (_: Socket, data: Buffer) => {
      parts.push(data.subarray(0, answerMax - size));
      size += data.length;
      const answer = Buffer.concat(parts);
      if (size >= answerMax || isWhole(answer)) resolve(answer);
    },
    close: () => resolve(Buffer.concat(parts)),
    connectError: (_: Socket, error: Error) => fail(error),
    error: (_: Socket, error: Error) => fail(error),
  };
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    inNamespace(`/proc/${pid}/ns/net`, () => {
      Bun.connect({ hostname: to.host, port: to.port, socket: handlers }).catch(fail);
    });
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    open?.terminate();
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ETIMEDOUT: "connection timed out",
};
