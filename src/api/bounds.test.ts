/** What a client can do to the listener at most: sizes, counts, times; and what is no request is never taken for one. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { ApiFixture } from "./doubles/api-fixture.ts";
import { RawClient, temporaryDirectory } from "./doubles/test-client.ts";
import { jsonBytesMax, jsonDepthMax } from "./http/api-request.ts";
import { HttpServer } from "./http/http-server.ts";
import { jsonReply } from "./http/reply.ts";
import { headersMax } from "./http/request-head.ts";

let api: ApiFixture;
beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

async function ask(text: string): Promise<string> {
  using client = await RawClient.connect(api.socket);
  return await client.send(text).all();
}

const host = "Host: x\r\nConnection: close\r\n";
const get = (target: string, headers = "") => `GET ${target} HTTP/1.1\r\n${host}${headers}\r\n`;
const post = (body: string, headers = "Content-Type: application/json\r\n") =>
  `POST /v1.50/containers/create HTTP/1.1\r\n${host}${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("heads", () => {
  const heads: [string, string, number, string][] = [
    ["two hosts", get("/_ping", "Host: y\r\n"), 400, "too many Host headers"],
    ["an unknown expectation", get("/_ping", "Expect: magic\r\n"), 417, "unknown expectation"],
    ["too many headers", get("/_ping", "A: b\r\n".repeat(headersMax)), 431, `${headersMax} headers`],
    ["a list of lengths", get("/_ping", "Content-Length: 2, 2\r\n"), 400, "bad Content-Length"],
    ["a signed length", get("/_ping", "Content-Length: +2\r\n"), 400, ""],
    ["a length in hexadecimal", get("/_ping", "Content-Length: 0x2\r\n"), 400, ""],
    ["chunked twice", get("/_ping", "Transfer-Encoding: chunked\r\n".repeat(2)), 501, "unsupported"],
    [
      "chunked with a tab",
      get("/_ping", "Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n"),
      400,
      "both",
    ],
    ["a bare carriage return", get("/_ping", "A: b\rContent-Length: 5\r\n"), 400, ""],
    ["a NUL", get("/_ping", "A: b\0c\r\n"), 400, ""],
    ["a bad escape in the path", get("/containers/%zz/json"), 400, "invalid URL escape"],
    ["a bad escape in the query", get("/containers/json?all=%zz"), 400, 'invalid URL escape \\"%zz\\"'],
    ["half an escape", get("/containers/json?all=%4"), 400, 'invalid URL escape \\"%4\\"'],
    ["a semicolon in the query", get("/containers/json?all=1;limit=2"), 400, "invalid semicolon separator"],
    ["an unknown path", get("/v1.50/nosuch"), 404, "page not found"],
    ["a known path by a wrong method", get("/v1.50/containers/create"), 404, "page not found"],
    ["HEAD where there is only GET", `HEAD /v1.50/info HTTP/1.1\r\n${host}\r\n`, 404, ""],
  ];
  test.each(heads)("%s", async (_, text, status, words) => {
    const answer = await ask(text);
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer).toContain(words);
    expect(answer).not.toContain(".ts:");
  });

  test("of parameters given twice the first counts, as in Go", async () => {
    await ask(get("/containers/json?limit=1&limit=2"));
    expect(api.engine.asked.at(-1)).toEqual(["list", expect.objectContaining({ limit: 1 })]);
  });

  test("what follows a refused request is not answered", async () => {
    const smuggled = get("/_ping", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n") + get("/version");
    const answer = await ask(smuggled);
    expect(answer.match(/HTTP\/1\.1/g)?.length).toBe(1);
    expect(answer).toContain("Connection: close");
  });

  test("a body by chunks ends where its trailers do", async () => {
    const text = `POST /v1.50/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 100\r\nX: y\r\n\r\n`;
    const answer = await ask(text + get("/_ping"));
    expect(answer.match(/HTTP\/1\.1 /g)?.length).toBe(2);
    expect(answer).toContain("HTTP/1.1 200 OK");
  });
});

describe("JSON bodies", () => {
  const bodies: [string, string, number, string][] = [
    [
      "too large by its length",
      post("").replace(/Length: \d+/, `Length: ${jsonBytesMax + 1}`),
      413,
      "larger than",
    ],
    ["too deep", post(`{"Image":${nested(jsonDepthMax)}}`), 400, "invalid JSON: exceeded max depth"],
    ["deep enough for any recursion", post(nested(1_000_000)), 400, "invalid JSON: exceeded max depth"],
    [
      "brackets in texts are no depth",
      post(`{"Image":"x","User":"${"[".repeat(500)}\\\\\\"{"}`),
      404,
      "No such image",
    ],
    ["cut off", post('{"Image":'), 400, "invalid JSON: "],
    ["with something behind", post('{"Image":"x"} extra'), 400, "invalid JSON: "],
    ["a list", post("[]"), 400, "invalid JSON: the body must be an object, not Array"],
    ["nothing", post("null"), 400, "invalid JSON: the body must be an object, not null"],
    ["of a wrong type", post('{"Image":5}'), 400, "invalid JSON: Image must be string, not 5"],
    [
      "of another media type",
      post("{}", "Content-Type: text/plain\r\n"),
      400,
      "unsupported Content-Type header",
    ],
    ["of no media type", post("{}", ""), 400, "malformed Content-Type header (): mime: no media type"],
    ["not what was announced", `${post("{}")}`.replace("Length: 2", "Length: 20"), 400, "unexpected EOF"],
  ];
  test.each(bodies)("%s", async (_, text, status, words) => {
    using client = await RawClient.connect(api.socket);
    const answer = await client.send(text).finish().all();
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer).toContain(words);
  });
});

describe("a listener", () => {
  async function serving(o: { connectionsMax?: number; headTimeoutMs?: number }) {
    const directory = await temporaryDirectory();
    const path = join(directory.path, "s");
    const handle = async () => jsonReply("hello");
    const server = await HttpServer.open([`unix://${path}`], { headers: {}, report: () => {}, handle, ...o });
    return {
      path,
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]();
        await directory[Symbol.asyncDispose]();
      },
    };
  }

  test("tells who is one too many, and takes others when one has left", async () => {
    await using server = await serving({ connectionsMax: 2 });
    using first = await RawClient.connect(server.path);
    {
      using second = await RawClient.connect(server.path);
      first.send(get("/").replace("Connection: close\r\n", ""));
      await first.take("hello");
      using third = await RawClient.connect(server.path);
      expect(await third.all()).toMatch(/^HTTP\/1.1 503 .*too many connections: 2 are open"}\n$/s);
      expect(await second.send(get("/")).all()).toContain("hello");
    }
    for (let tries = 0; ; tries++) {
      using again = await RawClient.connect(server.path);
      const answer = await again.send(get("/")).all();
      if (answer.includes("hello")) break;
      expect(tries).toBeLessThan(100);
      await Bun.sleep(5);
    }
  });

  test("does not wait for a head that trickles, but for ever for one that has not begun", async () => {
    await using server = await serving({ headTimeoutMs: 60 });
    using idle = await RawClient.connect(server.path);
    using slow = await RawClient.connect(server.path);
    slow.send("GET / HTTP/1.1\r\nA");
    const trickle = setInterval(() => slow.send("A"), 10);
    const answer = await slow.all();
    clearInterval(trickle);
    expect(answer).toStartWith("HTTP/1.1 408 ");
    expect(await idle.send(get("/")).all()).toContain("hello");
  });
});
