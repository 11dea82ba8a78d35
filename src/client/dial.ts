/** Connections to an engine that become something else than one request and its answer. */
import type { Socket } from "node:net";
import type { EngineAddress, EngineTls } from "./address.ts";

/** Open when it resolves; each half closes on its own. @throws What the platform throws when nobody answers or who does is not trusted. */
export async function dial(address: EngineAddress): Promise<Socket> {
  const socket = await begin(address);
  const ready = address.kind === "tcp" && address.tls !== undefined ? "secureConnect" : "connect";
  await new Promise<void>((resolve, reject) => {
    const done = (): void => {
      socket.off("error", failed);
      socket.off("close", closed);
    };
    const failed = (error: Error): void => {
      done();
      reject(error);
    };
    const closed = (): void => {
      done();
      reject(closedEarly());
    };
    socket.once(ready, () => {
      done();
      resolve();
    });
    socket.on("error", failed);
    socket.on("close", closed);
  });
  return socket;
}

/** What a connection that ended too soon is. */
export function closedEarly(): Error {
  return Object.assign(new Error("the connection was closed before the answer was complete"), {
    code: "ECONNRESET",
  });
}

/** As `node:tls` and Bun's fetch take it. */
export function tlsOptions({ authority, certificate, key, verify }: EngineTls) {
  return {
    rejectUnauthorized: verify,
    ...(authority !== undefined && { ca: authority }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
  };
}

/** Loaded when needed: most commands never are. */
async function begin(address: EngineAddress): Promise<Socket> {
  if (address.kind === "tcp" && address.tls !== undefined) {
    const { connect } = await import("node:tls");
    const { hostname: host, port, tls } = address;
    return connect({ host, port, allowHalfOpen: true, ...tlsOptions(tls) } as Parameters<typeof connect>[0]);
  }
  const { connect } = await import("node:net");
  return address.kind === "unix"
    ? connect({ path: address.path, allowHalfOpen: true })
    : connect({ host: address.hostname, port: address.port, allowHalfOpen: true });
}
