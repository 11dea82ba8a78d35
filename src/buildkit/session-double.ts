/** A BuildKit client for tests: the far end of a session, answering as the docker CLI does. */

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Answer, serveGrpc } from "#grpc/grpc-server.ts";
import { session } from "#spec/buildkit-session.ts";
import { type FileStatWritten, Packet, packetType } from "#spec/file-packets.ts";
import { ClientSessions } from "./client-sessions.ts";

/** A file as it is sent: what it is, and its content. */
export interface SentFile extends FileStatWritten {
  readonly content?: string;
}

/** Sends a listing in the order given, and what is asked for. `asked` tells the paths. */
export function filesAnswer(files: readonly SentFile[], asked: string[] = []): [string, Answer] {
  return [
    session.fileSync.path,
    async (call) => {
      for (const { content, ...stat } of files)
        await call.send(
          Packet.encode({ type: packetType.stat, stat: { ...stat, size: Buffer.byteLength(content ?? "") } }),
        );
      await call.send(Packet.encode({ type: packetType.stat }));
      for await (const bytes of call.requests) {
        const packet = Packet.decode(bytes);
        if (packet.type === packetType.end) {
          await call.send(Packet.encode({ type: packetType.end }));
          return;
        }
        const { path = "", content = "" } = files[packet.ID] ?? {};
        asked.push(path);
        for (const data of [Buffer.from(content), new Uint8Array(0)])
          await call.send(Packet.encode({ type: packetType.data, ID: packet.ID, data }));
      }
    },
  ];
}

/** Sessions with one client in them, `s1`, until disposed. */
export async function sessionsWith(
  answers: readonly [string, Answer][],
): Promise<AsyncDisposable & { readonly sessions: ClientSessions; readonly leave: () => void }> {
  const sessions = new ClientSessions();
  const stop = new AbortController();
  const directory = await mkdtemp(join(tmpdir(), "wherry-session-"));
  const path = join(directory, "s");
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void serveGrpc(socket, new Map(answers), { signal: stop.signal, report: () => undefined });
  });
  server.listen(path);
  await once(server, "listening");
  const socket = connect(path);
  await once(socket, "connect");
  const head = { id: "s1", sharedKey: "key", methods: answers.map(([name]) => name) };
  const served = sessions.serve(head, socket, stop.signal);
  return {
    sessions,
    leave: () => socket.destroy(),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      socket.destroy();
      server.close();
      await served;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
