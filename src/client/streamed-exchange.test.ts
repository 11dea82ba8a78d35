import { afterEach, expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import type { EngineAddress } from "./address.ts";
import { exchangeStream } from "./streamed-exchange.ts";

let close = (): void => undefined;
afterEach(() => close());

/** An engine that does what it is told with each connection. */
async function serve(answer: (socket: Socket) => void): Promise<EngineAddress> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    answer(socket);
  });
  close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    kind: "tcp",
    hostname: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
  } as EngineAddress;
}

async function* parts(...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield Buffer.alloc(size, "x");
}

const request = { method: "POST", target: "/load?quiet=1", headers: { Host: "engine", "X-A": "b" } };

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const part of body) all.push(part);
  return Buffer.concat(all).toString();
}

test("parts are chunks, small and large; an answer in chunks is put together", async () => {
  let came = "";
  const address = await serve((socket) =>
    socket.on("data", (part: Buffer) => {
      came += part.toString("latin1");
      if (!came.endsWith("0\r\n\r\n")) return;
      socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Enc");
      setImmediate(() =>
        socket.write("oding: chunked\r\nX-B: c\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
      );
    }),
  );
  const answer = await exchangeStream(address, { ...request, stream: parts(3, 0, 100_000) });
  expect([answer.status, answer.headers["x-b"]]).toEqual([200, "c"]);
  expect(await textOf(answer.body)).toBe("hello world");
  const [head = "", body] = came.split("\r\n\r\n");
  expect(head.split("\r\n")).toEqual([
    "POST /load?quiet=1 HTTP/1.1",
    "Connection: close",
    "Transfer-Encoding: chunked",
    "Host: engine",
    "X-A: b",
  ]);
  expect(body).toBe(`3\r\nxxx\r\n186a0\r\n${"x".repeat(100_000)}\r\n0`);
});

test("an answer may come first, and a refusal ends the sending", async () => {
  const text = '{"message":"no"}';
  const address = await serve((socket) =>
    socket.once("data", () =>
      socket.write(`HTTP/1.1 400 Bad Request\r\nContent-Length: ${text.length}\r\n\r\n${text}`),
    ),
  );
  let [sent, left] = [0, false];
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        yield Buffer.alloc(1 << 20);
        sent++;
        await Bun.sleep(1);
      }
    } finally {
      left = true;
    }
  }
  const answer = await exchangeStream(address, { ...request, stream: endless() });
  expect([answer.status, await textOf(answer.body)]).toEqual([400, text]);
  while (!left) await Bun.sleep(1);
  expect(sent).toBeLessThan(10_000);
});

test("what goes wrong is told: the source, the connection, being called off, an answer cut short", async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("x");
    throw new Error("the disk is gone");
  }
  const silent = await serve(() => undefined);
  expect(exchangeStream(silent, { ...request, stream: broken() })).rejects.toThrow("the disk is gone");
  const stop = new AbortController();
  const waiting = exchangeStream(silent, { ...request, stream: parts(5), signal: stop.signal });
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  close();
  await expect(exchangeStream(silent, { ...request, stream: parts(5) })).rejects.toThrow();
  const rude = await serve((socket) => socket.once("data", () => socket.end()));
  await expect(exchangeStream(rude, { ...request, stream: parts(5) })).rejects.toThrow("closed");
  close();
  const short = await serve((socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123")),
  );
  const { body } = await exchangeStream(short, { ...request, stream: parts(5) });
  await expect(textOf(body)).rejects.toThrow("closed");
});
