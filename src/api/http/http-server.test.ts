import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { lstat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { RawClient, temporaryDirectory } from "#api/doubles/test-client.ts";
import type { Handle } from "./connection.ts";
import { HttpServer } from "./http-server.ts";
import { inboxBytesMax } from "./inbox.ts";
import { emptyReply, hijackReply, jsonReply, multiplexedStream, streamReply } from "./reply.ts";
import { headBytesMax } from "./request-head.ts";

const reported: unknown[] = [];
const aborted: string[] = [];
let written = 0;

const handlers: Record<string, Handle> = {
  "/hello": async () => jsonReply({ hello: "world" }),
  "/nothing": async () => emptyReply(204),
  "/same": async () => emptyReply(304),
  "/throw": async () => {
    throw new Error("it broke");
  },
  "/size": async ({ body }) => {
    let bytes = 0;
    for await (const chunk of body) bytes += chunk.length;
    return jsonReply({ bytes });
  },
  "/slow-size": async ({ body }) => {
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      await Bun.sleep(1);
    }
    return jsonReply({ bytes });
  },
  "/stream": async () =>
    streamReply("text/plain", async (sink) => {
      for (const part of ["one ", "two ", "three"]) sink.write(Buffer.from(part));
    }),
  "/broken-stream": async () =>
    streamReply("text/plain", async (sink) => {
      sink.write(Buffer.from("half"));
      await Bun.sleep(5);
      throw new Error("the source broke");
    }),
  "/endless": async () => {
    written = 0;
    return streamReply("text/plain", async (sink) => {
      const block = Buffer.alloc(64 * 1024, "x");
      for (;;) {
        await sink.write(block);
        written += block.length;
      }
    });
  },
  "/wait": async ({ signal }) =>
    streamReply("application/json", async () => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted.push("wait");
      throw signal.reason;
    }),
  "/decide": async ({ signal }) => {
    await Bun.sleep(100);
    return jsonReply({ aborted: signal.aborted });
  },
  "/echo": async ({ head }) =>
    hijackReply(
      head.headers.has("upgrade") ? "tcp" : undefined,
      multiplexedStream,
      async ({ input, output }) => {
        let text = "";
        for await (const chunk of input) {
          text += Buffer.from(chunk).toString();
          await output.write(chunk);
        }
        output.write(Buffer.from(`[end after ${text.length}]`));
      },
    ),
  "/talk": async () =>
    hijackReply(undefined, "", async ({ output }) => {
      output.write(Buffer.from("bye"));
    }),
  "/duplex": async () =>
    hijackReply("h2c", "", async ({ duplex }) => {
      const stream = duplex();
      for await (const chunk of stream)
        if (!stream.write(chunk)) await new Promise((go) => stream.once("drain", go));
      stream.end(" over");
      await new Promise((done) => stream.once("finish", done));
    }),
};

let directory: AsyncDisposable & { path: string };
let server: HttpServer;
let path: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  path = join(directory.path, "api.sock");
  server = await HttpServer.open([`unix://${path}`], {
    headers: { Server: "Test" },
    report: (thrown) => reported.push(thrown),
    handle: (exchange) =>
      (handlers[exchange.head.target] ?? (async () => jsonReply({ message: "no" }, 404)))(exchange),
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

async function ask(text: string | Uint8Array): Promise<string> {
  using client = await RawClient.connect(path);
  return await client.send(text).all();
}

const get = (target: string, headers = ""): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

describe("answers", () => {
  test("a fixed answer has its length and the server's headers", async () => {
    const answer = await ask(get("/hello", "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(answer).toContain("\r\nServer: Test\r\n");
    expect(answer).toContain("\r\nContent-Length: 18\r\n");
    expect(answer).toContain("\r\nConnection: close\r\n");
    expect(answer).toEndWith('\r\n\r\n{"hello":"world"}\n');
  });

  test("204 and 304 have no length", async () => {
    for (const target of ["/nothing", "/same"]) {
      const answer = await ask(get(target, "Connection: close\r\n"));
      expect(answer).not.toContain("Content-Length");
      expect(answer).toEndWith("\r\n\r\n");
    }
  });

  test("HEAD has the length but no body", async () => {
    const answer = await ask("HEAD /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(answer).toContain("Content-Length: 18\r\n");
    expect(answer).toEndWith("\r\n\r\n");
  });

  test("HEAD on a stream has no body", async () => {
    expect(await ask("HEAD /stream HTTP/1.1\r\n\r\n")).toEndWith("\r\n\r\n");
  });

  test("an error is Docker's JSON, without a stack", async () => {
    const answer = await ask(get("/throw", "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 500 Internal Server Error\r\n");
    expect(answer).toEndWith('\r\n\r\n{"message":"it broke"}\n');
  });

  test("a stream is chunked, with small writes gathered", async () => {
    const answer = await ask(get("/stream", "Connection: close\r\n"));
    expect(answer).toContain("\r\nTransfer-Encoding: chunked\r\n");
    expect(answer).toEndWith("\r\n\r\nd\r\none two three\r\n0\r\n\r\n");
  });

  test("HTTP/1.0 gets a stream without chunks, ended by closing", async () => {
    const answer = await ask("GET /stream HTTP/1.0\r\n\r\n");
    expect(answer).not.toContain("chunked");
    expect(answer).toEndWith("\r\n\r\none two three");
  });

  test("a stream that breaks ends without its last chunk", async () => {
    const answer = await ask(get("/broken-stream"));
    expect(answer).toEndWith("4\r\nhalf\r\n");
    expect(String(reported.pop())).toContain("the source broke");
  });

  test("the head of a stream goes out before the first byte", async () => {
    using client = await RawClient.connect(path);
    client.send(get("/wait"));
    expect(await client.take("\r\n\r\n")).toStartWith("HTTP/1.1 200 OK\r\n");
  });
});

describe("connections", () => {
  test("are kept for the next request", async () => {
    using client = await RawClient.connect(path);
    for (let round = 0; round < 3; round++) {
      client.send(get("/hello"));
      expect(await client.take("}\n")).toContain('{"hello":"world"}');
    }
  });

  test("pipelined requests are answered in order", async () => {
    using client = await RawClient.connect(path);
    client.send(get("/decide") + get("/stream") + get("/hello", "Connection: close\r\n"));
    const answer = await client.all();
    const order = ["aborted", "one two three", "hello"].map((word) => answer.indexOf(word));
    expect(order.every((place) => place > 0)).toBe(true);
    expect([...order].sort((a, b) => a - b)).toEqual(order);
  });

  test("a request cut into single bytes is understood", async () => {
    using client = await RawClient.connect(path);
    for (const byte of Buffer.from(get("/hello"))) {
      client.send(Uint8Array.of(byte));
      await new Promise((next) => setImmediate(next));
    }
    expect(await client.take("}\n")).toContain("hello");
  });

  test("a client that leaves ends the request it waited for", async () => {
    aborted.length = 0;
    const client = await RawClient.connect(path);
    client.send(get("/wait"));
    await client.take("\r\n\r\n");
    client.socket.destroy();
    for (let tries = 0; tries < 100 && aborted.length === 0; tries++) await Bun.sleep(5);
    expect(aborted).toEqual(["wait"]);
    expect(reported).toEqual([]);
  });

  test("a client that does not read makes the stream wait", async () => {
    using client = await RawClient.connect(path);
    client.socket.pause();
    client.send(get("/endless"));
    await Bun.sleep(150);
    const early = written;
    await Bun.sleep(150);
    expect(written).toBe(early);
    expect(written).toBeLessThan(4 * 1024 * 1024);
  });
});

describe("bodies", () => {
  const post = (target: string, headers: string, body: string): string =>
    `POST ${target} HTTP/1.1\r\nConnection: close\r\n${headers}\r\n${body}`;

  test("by length", async () => {
    expect(await ask(post("/size", "Content-Length: 5\r\n", "hello"))).toEndWith('{"bytes":5}\n');
  });

  test("by chunks, with extensions and trailers", async () => {
    const body = "5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    expect(await ask(post("/size", "Transfer-Encoding: chunked\r\n", body))).toEndWith('{"bytes":15}\n');
  });

  test("a large chunked body goes at the reader's pace", async () => {
    using client = await RawClient.connect(path);
    client.send("POST /slow-size HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    const block = Buffer.alloc(64 * 1024);
    let sent = 0;
    let waited = 0;
    for (let round = 0; round < 64; round++) {
      client.send(`${block.length.toString(16)}\r\n`).send(block);
      if (!client.socket.write("\r\n")) {
        waited++;
        await new Promise((go) => client.socket.once("drain", go));
      }
      sent += block.length;
    }
    client.send("0\r\n\r\n");
    expect(await client.take("}\n")).toContain(`{"bytes":${sent}}`);
    expect(sent).toBeGreaterThan(inboxBytesMax);
    expect(waited).toBeGreaterThan(0);
  });

  test("a client that asked is told to continue, once, and only when the body is wanted", async () => {
    using client = await RawClient.connect(path);
    client.send("POST /size HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    expect(await client.take("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok");
    expect(await client.take("}\n")).toContain('{"bytes":2}');
    client.send("POST /hello HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    const answer = await client.all();
    expect(answer).toStartWith("HTTP/1.1 200 OK");
    expect(answer).toContain("Connection: close");
  });

  test("a body nobody read does not spoil the next request", async () => {
    using client = await RawClient.connect(path);
    client.send(`POST /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello${get("/nothing")}`);
    await client.take("}\n");
    expect(await client.take("\r\n\r\n")).toStartWith("HTTP/1.1 204");
  });

  test("a large body nobody reads is answered, then the connection closes", async () => {
    using client = await RawClient.connect(path);
    client.send(`POST /hello HTTP/1.1\r\nContent-Length: 900000000\r\n\r\n`);
    const block = Buffer.alloc(1024 * 1024);
    client.send(block);
    expect(await client.take("}\n")).toContain("Connection: close");
  });

  test.each([
    ["a truncated body", "Content-Length: 50\r\n", "short"],
    ["a truncated chunk", "Transfer-Encoding: chunked\r\n", "5\r\nhe"],
    ["an invalid chunk size", "Transfer-Encoding: chunked\r\n", "zz\r\nhello\r\n0\r\n\r\n"],
    ["a chunk without its end", "Transfer-Encoding: chunked\r\n", "2\r\nhello\r\n0\r\n\r\n"],
    ["an endless size line", "Transfer-Encoding: chunked\r\n", `1;${"x".repeat(9000)}`],
  ])("%s gets 400 and the connection closes", async (_name, headers, body) => {
    using client = await RawClient.connect(path);
    const answer = await client.send(`POST /size HTTP/1.1\r\n${headers}\r\n${body}`).finish().all();
    expect(answer).toStartWith("HTTP/1.1 400 Bad Request\r\n");
    expect(answer).toContain('{"message":"');
  });
});

describe("malformed requests", () => {
  test.each([
    ["garbage", "\x16\x03\x01\x02\x00\r\n\r\n", 400],
    ["an unknown method", "FROB / HTTP/1.1\r\n\r\n", 400],
    ["a header without a colon", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400],
    ["a space before the colon", "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", 400],
    ["a folded header", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400],
    ["a length that is no number", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400],
    ["two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
    ["length and chunks", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
    ["an unknown encoding", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501],
    ["HTTP/2 in clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["an unknown version", "GET / HTTP/3.0\r\n\r\n", 505],
    ["endless headers", `GET / HTTP/1.1\r\nA: ${"x".repeat(headBytesMax + 10)}\r\n\r\n`, 431],
    ["an endless request line", `GET /${"x".repeat(headBytesMax + 10)}`, 431],
  ])("%s: status and close", async (_name, text, status) => {
    const answer = await ask(text);
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer).toContain('\r\n\r\n{"message":"');
  });
});

describe("hijacking", () => {
  test("without Upgrade: Docker's bare head, and bytes after the body are input", async () => {
    using client = await RawClient.connect(path);
    client.send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}early ");
    expect(await client.take("\r\n\r\n")).toStartWith(
      "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n",
    );
    await client.take("early ");
    client.send("late").finish();
    expect(await client.all()).toBe("late[end after 10]");
  });

  test("with Upgrade: 101 UPGRADED", async () => {
    using client = await RawClient.connect(path);
    client.send("POST /echo HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n");
    expect(await client.take("\r\n\r\n")).toMatch(
      /^HTTP\/1.1 101 UPGRADED\r\nContent-Type: application\/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n/,
    );
    client.send("x").finish();
    expect(await client.all()).toBe("x[end after 1]");
  });

  test("a chunked body before it is left out of the input", async () => {
    using client = await RawClient.connect(path);
    client.send(
      "POST /echo HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nin",
    );
    await client.take("\r\n\r\n");
    client.finish();
    expect(await client.all()).toBe("in[end after 2]");
  });

  test("a client that sends everything and closes its half at once loses nothing", async () => {
    using client = await RawClient.connect(path);
    client.send("POST /echo HTTP/1.1\r\nContent-Length: 0\r\n\r\nall of it").finish();
    expect(await client.all()).toEndWith("\r\n\r\nall of it[end after 9]");
  });

  test("the server may end first, whatever the client still sends", async () => {
    using client = await RawClient.connect(path);
    client.send("POST /talk HTTP/1.1\r\n\r\n");
    const answer = await client.send(Buffer.alloc(100_000)).all();
    expect(answer).toEndWith("\r\n\r\nbye");
  });

  test("as a node stream", async () => {
    using client = await RawClient.connect(path);
    client.send("POST /duplex HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI ");
    expect(await client.take("\r\n\r\n")).toContain("Upgrade: h2c\r\n");
    client.send("more").finish();
    expect(await client.all()).toBe("PRI more over");
  });
});

describe("HTTP/2 from the first byte", () => {
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const options = {
    headers: {},
    report: () => {},
    handle: async () => jsonReply("one"),
    http2: async (connection: Duplex) => {
      let heard = "";
      connection.on("data", (part: Buffer) => {
        heard += part.toString();
        if (heard.length === preface.length + 4) connection.end(`heard ${heard}`);
      });
      await once(connection, "close");
    },
  };

  /** Each byte comes alone, unless the machine is so busy that some meet. */
  async function trickle(client: RawClient, text: string): Promise<void> {
    for (const byte of text) {
      client.send(byte);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  test("is told from HTTP/1.1 however the bytes come", async () => {
    const socket = join(directory.path, "two.sock");
    await using _ = await HttpServer.open([`unix://${socket}`], options);
    for (const send of [trickle, async (client: RawClient, text: string) => void client.send(text)]) {
      using two = await RawClient.connect(socket);
      await send(two, `${preface}more`);
      expect(await two.all()).toBe(`heard ${preface}more`);
      using one = await RawClient.connect(socket);
      await send(one, "POST / HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      expect(await one.all()).toEndWith('"one"\n');
      using nearly = await RawClient.connect(socket);
      await send(nearly, "PRI * HTTP/3");
      nearly.send("\r\n\r\n");
      expect(await nearly.all()).toStartWith("HTTP/1.1 400 ");
    }
  });
});

describe("listening", () => {
  test("the socket is for its owner and group only", async () => {
    expect((await lstat(path)).mode & 0o777).toBe(0o660);
  });

  const options = { headers: {}, report: () => {}, handle: async () => emptyReply() };

  test("a path where an engine serves is refused", async () => {
    await expect(HttpServer.open([`unix://${path}`], options)).rejects.toThrow("already serving");
  });

  test("a stale socket is replaced, and gone after closing", async () => {
    const stale = join(directory.path, "stale.sock");
    Bun.spawnSync([
      "python3",
      "-c",
      "import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])",
      stale,
    ]);
    expect((await lstat(stale)).isSocket()).toBe(true);
    {
      await using other = await HttpServer.open([`unix://${stale}`], options);
      using client = await RawClient.connect(stale);
      expect(await client.send(get("/")).take("\r\n\r\n")).toContain("204");
      expect(other.hosts).toEqual([`unix://${stale}`]);
    }
    expect(await lstat(stale).catch(() => "gone")).toBe("gone");
  });

  test("a file that is no socket is left alone", async () => {
    const file = join(directory.path, "file");
    await writeFile(file, "precious");
    await expect(HttpServer.open([`unix://${file}`], options)).rejects.toThrow("no socket");
    expect(await Bun.file(file).text()).toBe("precious");
  });

  test("a path that is too long is refused with its length", async () => {
    await expect(HttpServer.open([`unix:///${"x".repeat(120)}`], options)).rejects.toThrow(
      "Linux allows 107",
    );
  });

  test("tcp, with the port it got; a taken one is refused", async () => {
    await using other = await HttpServer.open(["tcp://127.0.0.1:0"], options);
    const port = Number(other.hosts[0]?.split(":").pop());
    using client = await RawClient.connect(port);
    expect(await client.send(get("/")).take("\r\n\r\n")).toContain("204");
    await expect(HttpServer.open([`tcp://127.0.0.1:${port}`], options)).rejects.toThrow("in use");
  });

  test("an unknown scheme is refused", async () => {
    await expect(HttpServer.open(["fd://"], options)).rejects.toThrow("use unix://PATH or tcp://");
  });
});

test("closing sends what is being worked out, and ends what would never end", async () => {
  const own = join(directory.path, "closing.sock");
  const other = await HttpServer.open([`unix://${own}`], {
    headers: {},
    report: (thrown) => reported.push(thrown),
    handle: (exchange) => (handlers[exchange.head.target] as Handle)(exchange),
  });
  using idle = await RawClient.connect(own);
  using deciding = await RawClient.connect(own);
  using waiting = await RawClient.connect(own);
  deciding.send(get("/decide"));
  waiting.send(get("/wait"));
  await waiting.take("\r\n\r\n");
  const begun = performance.now();
  const closed = other[Symbol.asyncDispose]();
  expect(await deciding.all()).toEndWith('{"aborted":false}\n');
  expect(await waiting.all()).toBe("");
  expect(await idle.all()).toBe("");
  await closed;
  expect(performance.now() - begun).toBeLessThan(2000);
  await expect(RawClient.connect(own)).rejects.toThrow();
});
