/** Sockets to serve on, from `--host` texts. */
import { readFileSync } from "node:fs";
import { chmod, chown, lstat, mkdir, unlink } from "node:fs/promises";
import net from "node:net";
import { dirname } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { Fault, isFault } from "#spec/fault.ts";

/** `sun_path` of a Linux socket address without its closing zero. */
const socketPathBytesMax = 107;
const defaultTcpPort = 2375;
const defaultTlsPort = 2376;

/** PEM texts. */
export interface TlsOptions {
  readonly cert: string;
  readonly key: string;
  /** Whose certificates clients must show; undefined: anybody may come. */
  readonly authority: string | undefined;
}

export interface Listener extends AsyncDisposable {
  /** As a client would name it, with the port really used. */
  readonly host: string;
}

/**
 * Listens on `unix://PATH` (mode 0660, group `docker` where the machine has it; a stale socket is replaced) or
 * `tcp://ADDRESS[:PORT]`, and gives every connection to `onConnection`, unread.
 * @throws Fault `conflict` when it is in use, `invalid` when it cannot be an address, `denied`, `unsupported`.
 */
export async function listen(
  host: string,
  onConnection: (socket: net.Socket) => void,
  tls?: TlsOptions,
): Promise<Listener> {
  const [, scheme = "", rest = ""] = /^([a-z]+):\/\/(.*)$/.exec(host) ?? [];
  const plain = () => net.createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
  if (scheme === "unix") return listenUnix(plain(), host, rest);
  if (scheme === "tcp" && tls === undefined) return listenTcp(plain(), host, rest, defaultTcpPort);
  if (scheme === "tcp" && tls !== undefined)
    return listenTcp(tlsServer(tls, onConnection), host, rest, defaultTlsPort);
  throw new Fault("unsupported", `cannot listen on ${host}: use unix://PATH or tcp://ADDRESS:PORT`);
}

async function listenUnix(server: net.Server, host: string, path: string): Promise<Listener> {
  if (!path.startsWith("/"))
    throw new Fault(
      "invalid",
      `cannot listen on ${host}: the socket needs an absolute path, as in unix:///run/wherry/wherry.sock`,
    );
  const bytes = Buffer.byteLength(path);
  if (bytes > socketPathBytesMax)
    throw new Fault(
      "invalid",
      `cannot listen on ${host}: the path has ${bytes} bytes and Linux allows ${socketPathBytesMax}; choose a shorter one`,
    );
  await mkdir(dirname(path), { recursive: true });
  await clearStaleSocket(path);
  await start(server, host, { path });
  const made = await lstat(path);
  const group = dockerGroup();
  if (group !== undefined) await chown(path, 0, group).catch(() => undefined);
  await chmod(path, 0o660);
  return {
    host,
    [Symbol.asyncDispose]: async () => {
      const now = await lstat(path).catch(() => undefined);
      const mine = now !== undefined && now.ino === made.ino && now.dev === made.dev;
      await stop(server);
      if (mine) await unlink(path).catch(() => undefined);
    },
  };
}

/** @throws Fault `invalid` for certificates that are none. */
function tlsServer(
  { cert, key, authority }: TlsOptions,
  onConnection: (socket: net.Socket) => void,
): net.Server {
  const verify = authority !== undefined;
  try {
    const options = {
      cert,
      key,
      minVersion: "TLSv1.2",
      requestCert: verify,
      rejectUnauthorized: verify,
    } as const;
    const server = createTlsServer(
      { ...options, allowHalfOpen: true, noDelay: true, ...(verify && { ca: authority }) },
      (socket) => {
        if (verify && !socket.authorized) socket.destroy();
        else onConnection(socket);
      },
    );
    // Those who come without TLS, or without a certificate.
    return server.on("tlsClientError", (_error, socket) => socket.destroy());
  } catch (cause) {
    throw new Fault("invalid", `cannot serve TLS: ${Fault.from(cause).message}`, { cause });
  }
}

async function listenTcp(
  server: net.Server,
  host: string,
  rest: string,
  defaultPort: number,
): Promise<Listener> {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:/]*))(?::([0-9]+))?\/?$/.exec(rest) ?? [];
  const address = bracketed ?? plain;
  const portNumber = port === undefined ? defaultPort : Number(port);
  if (address === undefined || portNumber > 65535)
    throw new Fault("invalid", `cannot listen on ${host}: want tcp://ADDRESS:PORT`);
  await start(server, host, { port: portNumber, host: address === "" ? "0.0.0.0" : address });
  const used = server.address();
  const usedPort = used !== null && typeof used === "object" ? used.port : portNumber;
  const name = address.includes(":") ? `[${address}]` : address;
  return { host: `tcp://${name}:${usedPort}`, [Symbol.asyncDispose]: () => stop(server) };
}

function start(server: net.Server, host: string, options: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenFault(host, error)));
    server.listen(options, resolve);
  });
}

function listenFault(host: string, cause: NodeJS.ErrnoException): Fault {
  if (cause.code === "EADDRINUSE")
    return new Fault("conflict", `cannot listen on ${host}: the address is in use by another process`, {
      cause,
    });
  if (cause.code === "EACCES" || cause.code === "EPERM")
    return new Fault("denied", `cannot listen on ${host}: permission denied; run the engine as root`, {
      cause,
    });
  return new Fault("unavailable", `cannot listen on ${host}: ${cause.message}`, { cause });
}

function stop(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** Removes a socket nobody listens on. */
async function clearStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Fault("conflict", `cannot listen on ${path}: a file that is no socket is there; move it away`);
  try {
    await tryConnect(path);
  } catch (thrown) {
    if (isFault(thrown, "unavailable")) return unlink(path);
    throw thrown;
  }
  throw new Fault(
    "conflict",
    `cannot listen on ${path}: an engine is already serving it; stop that one or choose another --host`,
  );
}

function tryConnect(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = net.connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve();
    });
    probe.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ECONNREFUSED" || cause.code === "ENOENT")
        reject(new Fault("unavailable", "nobody listens", { cause }));
      else reject(new Fault("conflict", `cannot listen on ${path}: ${cause.message}`, { cause }));
    });
  });
}

/** The group whose members may use Docker's socket, where the machine has it. */
function dockerGroup(): number | undefined {
  try {
    const id = /^docker:[^:]*:([0-9]+):/m.exec(readFileSync("/etc/group", "utf8"))?.[1];
    return id === undefined ? undefined : Number(id);
  } catch {
    return undefined;
  }
}
