/** Connections to receivers of logs, in the engine's own network. */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect, isIP, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { UnixDatagram } from "#kernel/sockets/unix-datagram.ts";
import { Fault } from "#spec/fault.ts";
import { type LogAddress, type StreamAddress, shownAddress } from "./log-address.ts";

export interface TlsOptions {
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  readonly skipVerify: boolean;
}

/** A way to a receiver. `write` resolves when the kernel has the bytes, and throws when the connection is lost. */
export interface LogConnection extends Disposable {
  write(bytes: Uint8Array): Promise<void>;
  /** Called with what the receiver answers, where it does. */
  onAnswer?(taken: (bytes: Uint8Array) => void): void;
}

const connectTimeoutMs = 10_000;
const fullPauseMs = 5;
/** How long a receiver may take to read what was sent before the connection was let go of. */
const endTimeoutMs = 10_000;
/** After so long without a word, it is asked whether the other end is still there. */
const keepAliveMs = 30_000;

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
};

/** @throws Fault `unavailable` in Go's words: `dial tcp 127.0.0.1:24224: connect: connection refused`. */
export async function connectLog(
  address: LogAddress,
  o: { readonly tls?: TlsOptions; readonly signal: AbortSignal },
): Promise<LogConnection> {
  try {
    if (address.kind === "udp") return await connectUdp(address.host, address.port);
    if (address.kind === "unixgram") return new UnixConnection(address.path);
    return await StreamConnection.open(address, o);
  } catch (thrown) {
    o.signal.throwIfAborted();
    throw dialFault(address, thrown);
  }
}

function dialFault(address: LogAddress, cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const network = address.kind === "tls" ? "tcp" : address.kind;
  const shown = shownAddress(address);
  const reason =
    code === "ENOTFOUND" || code === "EAI_AGAIN" || code.startsWith("DNS_")
      ? `lookup ${"host" in address ? address.host : ""}: no such host`
      : `connect: ${reasons[code] ?? Fault.from(cause).message}`;
  return new Fault("unavailable", `dial ${network} ${shown}: ${reason}`, { cause });
}

class StreamConnection implements LogConnection {
  readonly #socket: Socket;
  #lost: Error | undefined;
  #fail: (error: Error) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lose = (error?: Error): void => {
      this.#lost ??= error ?? new Error("the receiver closed the connection");
      this.#fail(this.#lost);
      socket.destroy();
    };
    socket.on("error", lose);
    socket.on("end", () => lose());
    socket.on("close", () => lose());
    socket.setKeepAlive(true, keepAliveMs);
    // What nobody listens to must be read, or its end is never seen.
    socket.resume();
  }

  static async open(
    address: StreamAddress,
    o: { readonly tls?: TlsOptions; readonly signal: AbortSignal },
  ): Promise<StreamConnection> {
    const socket = dial(address, o.tls);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once(address.kind === "tls" ? "secureConnect" : "connect", () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the receiver closed the connection")));
    const abort = (): void => reject(o.signal.reason);
    o.signal.addEventListener("abort", abort, { once: true });
    const late = setTimeout(
      () => reject(Object.assign(new Error("late"), { code: "ETIMEDOUT" })),
      connectTimeoutMs,
    );
    try {
      await promise;
      return new StreamConnection(socket);
    } catch (thrown) {
      socket.on("error", () => undefined);
      socket.destroy();
      throw thrown;
    } finally {
      clearTimeout(late);
      o.signal.removeEventListener("abort", abort);
    }
  }

  onAnswer(taken: (bytes: Uint8Array) => void): void {
    this.#socket.on("data", taken);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  [Symbol.dispose](): void {
    // Ends behind what was written, if the receiver takes it.
    if (this.#lost === undefined) this.#socket.end();
    else this.#socket.destroy();
    setTimeout(() => this.#socket.destroy(), endTimeoutMs).unref();
  }
}

function dial(address: StreamAddress, tls: TlsOptions | undefined): Socket {
  if (address.kind === "unix") return connect({ path: address.path });
  const { host, port } = address;
  if (address.kind === "tcp") return connect({ host, port });
  return connectTls({
    host,
    port,
    ...(isIP(host) === 0 && { servername: host }),
    ...(tls?.ca !== undefined && { ca: tls.ca }),
    ...(tls?.cert !== undefined && { cert: tls.cert }),
    ...(tls?.key !== undefined && { key: tls.key }),
    rejectUnauthorized: tls?.skipVerify !== true,
  });
}

async function connectUdp(host: string, port: number): Promise<LogConnection> {
  const { address } = isIP(host) === 0 ? await lookup(host) : { address: host };
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  // Refusals of earlier datagrams: there is nobody who could send them again.
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.connect(port, address, resolve));
  return new UdpConnection(socket);
}

class UdpConnection implements LogConnection {
  readonly #socket: DatagramSocket;

  constructor(socket: DatagramSocket) {
    this.#socket = socket;
  }

  /** One datagram. Resolves also when nobody is there to take it. */
  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.send(bytes, () => resolve()));
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

class UnixConnection implements LogConnection {
  readonly #socket: UnixDatagram;

  constructor(path: string) {
    this.#socket = UnixDatagram.connect(path);
  }

  async write(bytes: Uint8Array): Promise<void> {
    while (!this.#socket.send(bytes)) await new Promise((resolve) => setTimeout(resolve, fullPauseMs));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
