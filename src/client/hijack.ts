/**
 * Connections that become streams: attach, and the start of an exec.
 * Promises: what comes right behind the answer's head is not lost; both directions end on their own (half-close).
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Fault } from "#spec/fault.ts";
import { formatAddress } from "./address.ts";
import type { Connection, Query } from "./connection.ts";
import { dial } from "./dial.ts";
import { refusal, unreachable } from "./failure.ts";

export interface HijackedStream extends AsyncDisposable {
  /** True when output comes in frames that tell stdout from stderr. */
  readonly multiplexed: boolean;
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void>;
  /** End of input; output goes on. */
  end(): void;
}

/** Of an answer's head. */
const headBytesMax = 64 << 10;
const headEnd = Buffer.from("\r\n\r\n");

/** @throws Fault with the engine's words when it refuses. */
export async function hijack(
  connection: Connection,
  path: string,
  o: { readonly query?: Query; readonly body?: unknown } = {},
): Promise<HijackedStream> {
  const { socket, head, rest } = await upgraded(connection, path, { ...o, protocol: "tcp" });
  return {
    multiplexed: /^content-type:\s*application\/vnd\.docker\.multiplexed-stream/im.test(head),
    output: outputOf(socket, rest),
    write: async (bytes) => await write(socket, bytes),
    end: () => void socket.end(),
    [Symbol.asyncDispose]: async () => void socket.destroy(),
  };
}

/**
 * A connection given over to HTTP/2, for gRPC: nothing was read of it yet.
 * @throws Fault with the engine's words when it refuses.
 */
export async function upgradeToHttp2(
  connection: Connection,
  path: string,
  headers: readonly (readonly [string, string])[] = [],
): Promise<Duplex> {
  const { socket, rest } = await upgraded(connection, path, { protocol: "h2c", headers });
  return await streamOf(socket, rest);
}

/** A socket as a stream of which `rest` was read before: bytes given back to a socket itself are lost to HTTP/2 in Bun. */
async function streamOf(socket: Socket, rest: Buffer): Promise<Duplex> {
  const { Duplex: Stream } = await import("node:stream");
  // HTTP/2 has no half-closed connections, and Bun's spins for ever on one: its end is the end of all.
  let ended = false;
  const stream = new Stream({
    allowHalfOpen: true,
    autoDestroy: false,
    read: () => void (ended ? stream.destroy() : socket.resume()),
    write: (chunk: Uint8Array, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  if (rest.length > 0) stream.push(rest);
  socket.on("error", () => undefined);
  socket.on("data", (part) => {
    if (!stream.push(part)) socket.pause();
  });
  socket.on("end", () => {
    ended = true;
    if (stream.readableLength === 0) stream.destroy();
  });
  socket.on("close", () => stream.destroy());
  return stream;
}

interface UpgradeOptions {
  readonly protocol: "tcp" | "h2c";
  readonly query?: Query;
  readonly body?: unknown;
  readonly headers?: readonly (readonly [string, string])[];
}

/** The socket is paused. */
async function upgraded(
  connection: Connection,
  path: string,
  o: UpgradeOptions,
): Promise<{ readonly socket: Socket; readonly head: string; readonly rest: Buffer }> {
  const { address } = connection;
  const socket = await dial(address).catch((cause: unknown) => {
    throw unreachable(formatAddress(address), cause);
  });
  const body = o.body === undefined ? "" : JSON.stringify(o.body);
  const lines = [
    `POST ${connection.target(path, o.query)} HTTP/1.1`,
    "Host: api.moby.localhost",
    "User-Agent: wherry",
    "Connection: Upgrade",
    `Upgrade: ${o.protocol}`,
    ...(o.headers ?? []).map(([name, value]) => `${name}: ${value}`),
    ...(body === "" ? [] : ["Content-Type: application/json"]),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  const { head, rest } = await readHead(socket);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
  if (status >= 400) throw refusal(status, await readBody(socket, rest));
  return { socket, head, rest };
}

async function readHead(socket: Socket): Promise<{ head: string; rest: Buffer }> {
  let seen = Buffer.alloc(0);
  return await new Promise((resolve, reject) => {
    const done = (): void => {
      socket.off("data", take);
      socket.off("close", closed);
      socket.off("error", closed);
    };
    const closed = (): void => {
      done();
      reject(new Fault("unavailable", "the engine closed the connection without an answer"));
    };
    const take = (part: Buffer): void => {
      seen = Buffer.concat([seen, part]);
      const end = seen.indexOf(headEnd);
      if (end < 0 && seen.length < headBytesMax) return;
      socket.pause();
      done();
      resolve({ head: seen.toString("latin1", 0, end), rest: seen.subarray(end + headEnd.length) });
    };
    socket.on("data", take);
    socket.once("close", closed);
    socket.once("error", closed);
  });
}

async function readBody(socket: Socket, rest: Buffer): Promise<string> {
  const parts: Buffer[] = [rest];
  socket.end();
  for await (const part of socket) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString("utf8");
  // Chunked or not, what matters is the JSON in it.
  return /\{[\s\S]*\}/.exec(text)?.[0] ?? text;
}

async function* outputOf(socket: Socket, rest: Buffer): AsyncGenerator<Uint8Array> {
  if (rest.length > 0) yield rest;
  try {
    for await (const part of socket) yield part as Buffer;
  } catch (error) {
    // An engine that is killed resets the connection.
    if (!(error instanceof Error && "code" in error && error.code === "ECONNRESET")) throw error;
  }
}

async function write(socket: Socket, bytes: Uint8Array): Promise<void> {
  if (socket.destroyed || socket.writableEnded) return;
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
}
