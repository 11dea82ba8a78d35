/** A unix socket of one build's own behind which the client's ssh agent answers, a stream for each connection. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { SshAgent } from "#build/build-client.ts";
import type { GrpcChannel } from "#grpc/grpc-channel.ts";
import { session, sessionHeader } from "#spec/buildkit-session.ts";

/** Connections to one agent at once. */
export const agentConnectionsMax = 64;

/** `directory` is short: the socket's path must fit into an address. */
export async function serveAgent(
  channel: GrpcChannel,
  id: string,
  o: { readonly directory: string; readonly signal: AbortSignal },
): Promise<SshAgent> {
  const socketPath = join(o.directory, `agent-${randomBytes(6).toString("hex")}`);
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    forward(channel, id, socket, o.signal).catch(() => undefined);
  });
  server.maxConnections = agentConnectionsMax;
  server.listen(socketPath);
  await once(server, "listening");
  return {
    socketPath,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await rm(socketPath, { force: true });
    },
  };
}

async function forward(channel: GrpcChannel, id: string, socket: Socket, signal: AbortSignal): Promise<void> {
  try {
    using call = channel.open(session.forwardAgent, { metadata: { [sessionHeader.sshId]: [id] }, signal });
    const asked = (async () => {
      // The agent answers after the client has said all it has to say.
      const said = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      for await (const data of said) await call.send({ data });
      call.end();
    })();
    for await (const { data } of call.responses) if (!socket.write(data)) await once(socket, "drain");
    socket.end();
    await asked;
  } finally {
    socket.destroy();
  }
}
