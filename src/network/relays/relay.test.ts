/** Relays with real sockets, in a host of the tests' own: by themselves, and by the thread that has them. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { makeNamespace, removeNamespace, stayInNamespace } from "#kernel/network/netns.ts";
import { servePort } from "#kernel/network/port-reservation.ts";
import type { Fault } from "#spec/fault.ts";
import { Relays } from "./relays.ts";
import { connectionsMax, TcpRelay } from "./tcp-relay.ts";
import { UdpRelay } from "./udp-relay.ts";

let directory: string;
let stack: DisposableStack;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-relay-"));
  const path = join(directory, "host");
  makeNamespace(path, () => {
    using netlink = new Netlink();
    setUp(netlink, 1);
  });
  stack = new DisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true }));
  stack.defer(() => removeNamespace(path));
  stack.use(stayInNamespace(path));
});
afterEach(() => stack.dispose());

const failed = (error: Error): void => {
  throw error;
};

/** On IPv4, like a container's. */
async function serve(take: (client: Socket) => void): Promise<{ address: string; port: number }> {
  const server = createServer({ allowHalfOpen: true }, take).listen(0, "127.0.0.1");
  stack.defer(() => void server.close());
  await once(server, "listening");
  return { address: "127.0.0.1", port: portOf(server) };
}

function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : 0;
}

/** Sends, says that it has nothing more to send, and reads to the end. */
async function converse(port: number, bytes: Buffer | string): Promise<Buffer> {
  const socket = connect({ host: "::1", port, allowHalfOpen: true });
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  // After the end, whoever relays may break off.
  socket.on("error", () => undefined);
  socket.end(bytes);
  await once(socket, "end");
  return Buffer.concat(parts);
}

describe("TCP", () => {
  test("bytes go both ways, unchanged and in any amount; the end of one way leaves the other open", async () => {
    const target = await serve((client) => {
      const parts: Buffer[] = [];
      client.on("data", (part: Buffer) => parts.push(part));
      client.on("end", () => client.end(Buffer.concat(parts)));
    });
    const { fd, port } = servePort("tcp", "::1", 0);
    const relay = new TcpRelay(fd, target, failed);
    stack.defer(() => relay.close());
    const sent = Buffer.alloc(3 << 20, "wherry ");
    const answers = await Promise.all([sent, "short", ""].map((each) => converse(port, Buffer.from(each))));
    expect(answers.map((each) => each.length)).toEqual([sent.length, 5, 0]);
    expect(answers[0]?.equals(sent)).toBe(true);
  });

  test("who is not there, or breaks off, is a connection that breaks off", async () => {
    const gone = await serve((client) => client.resetAndDestroy());
    const { fd, port } = servePort("tcp", "::1", 0);
    const relay = new TcpRelay(fd, gone, failed);
    stack.defer(() => relay.close());
    for (const target of [gone, { address: "127.0.0.1", port: 1 }]) {
      relay.target = target;
      await expect(converse(port, "hello")).rejects.toThrow("ECONNRESET");
    }
  });

  test("one more connection than there may be is reset, and one that ends makes room", async () => {
    const target = await serve((client) => {
      client.write("in");
      client.on("end", () => client.end()).resume();
    });
    const { fd, port } = servePort("tcp", "::1", 0);
    const relay = new TcpRelay(fd, target, failed);
    stack.defer(() => relay.close());
    const enter = async (): Promise<Socket> => {
      const socket = connect(port, "::1");
      await once(socket, "data");
      return socket;
    };
    const sockets: Socket[] = [];
    while (sockets.length < connectionsMax)
      sockets.push(...(await Promise.all(Array.from({ length: 128 }, enter))));
    await expect(enter()).rejects.toThrow("ECONNRESET");
    const [first, ...others] = sockets;
    first?.destroy();
    let room: Socket | undefined;
    while (room === undefined) room = await enter().catch(() => undefined);
    for (const socket of [room, ...others]) socket.destroy();
  });
});

test("UDP: every asker has its own answers, and nobody but the container gives them", async () => {
  const server = createSocket("udp4");
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const seen = new Set<number>();
  server.on("message", (bytes, from) => {
    seen.add(from.port);
    server.send(`${bytes.toString()}!`, from.port, from.address);
  });
  const { fd, port } = servePort("udp", "::1", 0);
  const relay = new UdpRelay(fd, { address: "127.0.0.1", port: server.address().port }, failed);
  stack.defer(() => relay.close());
  const askers = Array.from({ length: 8 }, () => createSocket("udp6"));
  const answers = askers.map(async (asker, index) => {
    const answer = once(asker, "message");
    asker.send(`ask ${index}`, port, "::1");
    return String((await answer)[0]);
  });
  expect(await Promise.all(answers)).toEqual(askers.map((_, index) => `ask ${index}!`));
  expect(seen.size).toBe(askers.length);
  const [forged] = seen;
  const liar = createSocket("udp4");
  let heard = "";
  for (const asker of askers) asker.on("message", (bytes) => (heard += bytes.toString()));
  await new Promise((resolve) => liar.send("lie", forged, "127.0.0.1", resolve));
  // What comes after the lie was let through or kept away.
  const [first] = askers;
  const next = once(first ?? liar, "message");
  first?.send("truth", port, "::1");
  await next;
  expect(heard).toBe("truth!");
  for (const socket of [liar, server, ...askers]) socket.close();
});

test("a thread has them: a port is taken at once, waits until it leads somewhere, and is free when settled", async () => {
  const faults: Fault[] = [];
  const program = new URL("./relay-thread.ts", import.meta.url);
  const relays = stack.use(new Relays({ program, report: (fault) => faults.push(fault) }));
  const target = await serve((client) => client.end("one"));
  const other = await serve((client) => client.end("two"));
  using port = relays.take("tcp", "::", 0);
  expect(() => relays.take("tcp", "::1", port.port)).toThrow("EADDRINUSE");
  const early = converse(port.port, "");
  port.lead(target);
  expect(String(await early)).toBe("one");
  port.lead(other);
  let answer = "one";
  while (answer === "one") answer = String(await converse(port.port, ""));
  expect(answer).toBe("two");
  for (let again = 0; again < 5; again++) {
    using udp = relays.take("udp", "::", port.port);
    udp.lead(target);
    if (again === 0) port[Symbol.dispose]();
    else {
      const next = relays.take("tcp", "::", port.port);
      next.lead(target);
      expect(String(await converse(next.port, ""))).toBe("one");
      next[Symbol.dispose]();
    }
    udp[Symbol.dispose]();
    await relays.settled();
  }
  expect(faults).toEqual([]);
});
