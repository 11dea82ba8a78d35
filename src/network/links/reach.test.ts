import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace } from "#kernel/network/netns.ts";
import { Fault } from "#spec/fault.ts";
import { isWhole, parseAnswer, reachHttp, reachTcp } from "./reach.ts";

const answer = (text: string) => Buffer.from(text.replaceAll("\n", "\r\n"));

test.each([
  ["HTTP/1.1 200 OK\n\nfine", 200, "OK", "fine"],
  ["HTTP/1.0 503 Service Unavailable\nA: b\n\n", 503, "Service Unavailable", ""],
  ["HTTP/1.1 204\n\n", 204, "", ""],
])("%j is an answer", (text, status, reason, body) => {
  const parsed = parseAnswer(answer(text));
  expect({ ...parsed, body: String(parsed.body) }).toEqual({ status, reason, body });
});

test.each([
  ["", "closed the connection without an answer"],
  ["SSH-2.0-x\n", "does not answer in HTTP/1"],
  ["HTTP/1.1 200 OK\nA: b\n", "does not answer in HTTP/1"],
])("%j is none", (text, words) => {
  expect(() => parseAnswer(answer(text))).toThrow(words);
});

test.each([
  ["HTTP/1.1 200 OK\nContent-Length: 4\n\nfine", true],
  ["HTTP/1.1 200 OK\nContent-Length: 5\n\nfine", false],
  ["HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n4\nfine\n0\n\n", true],
  ["HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n4\nfine\n", false],
  ["HTTP/1.1 204 No Content\n\n", true],
  ["HTTP/1.1 200 OK\n\nuntil the end", false],
  ["HTTP/1.1 200 OK\n", false],
])("whether %j is all", (text, whole) => {
  expect(isWhole(answer(text))).toBe(whole);
});

describe("in another network namespace", () => {
  const path = join(tmpdir(), `wherry-reach-${process.pid}`);
  const free = { signal: new AbortController().signal };
  /** One whose network is that namespace. */
  let stranger: Bun.Subprocess<"ignore", "pipe">;
  let server: { stop(closeAll?: boolean): void };
  beforeAll(async () => {
    makeNamespace(path, () => {
      using netlink = new Netlink();
      setUp(netlink, 1);
    });
    const script = "echo there; exec sleep 1000";
    stranger = Bun.spawn(["nsenter", `--net=${path}`, "sh", "-c", script], {
      stdin: "ignore",
      stdout: "pipe",
    });
    await stranger.stdout.getReader().read();
    const socket = {
      data: (client: Bun.Socket, bytes: Buffer) => {
        const words = String(bytes).split("\r\n")[0] ?? "";
        if (words.includes("/silent")) return;
        // Left open: what has a length has an end.
        client.write(`HTTP/1.1 200 OK\r\nContent-Length: ${words.length}\r\n\r\n${words}`);
      },
    };
    server = inNamespace(path, () => Bun.listen({ hostname: "127.0.0.1", port: 8080, socket }));
  });
  afterAll(async () => {
    server.stop(true);
    stranger.kill("SIGKILL");
    await stranger.exited;
    removeNamespace(path);
    rmSync(path, { force: true });
  });
  const at = { host: "127.0.0.1", port: 8080 };

  test("there is an answer, and here there is none", async () => {
    const { status, body } = await reachHttp(stranger.pid, { ...at, path: "/a?b" }, free);
    expect([status, String(body)]).toEqual([200, "GET /a?b HTTP/1.1"]);
    await reachTcp(stranger.pid, at, free);
    await expect(reachTcp(process.pid, at, free)).rejects.toThrow("127.0.0.1 port 8080: connection refused");
  });

  test("a port nobody serves, an address there is no way to, a process that is gone", async () => {
    await expect(reachTcp(stranger.pid, { ...at, port: 81 }, free)).rejects.toThrow("connection refused");
    await expect(reachTcp(stranger.pid, { host: "10.1.2.3", port: 81 }, free)).rejects.toThrow("10.1.2.3");
    await expect(reachTcp(2 ** 22 + 1, at, free)).rejects.toThrow();
  });

  test("silence is waited for until the signal", async () => {
    const control = new AbortController();
    const asked = reachHttp(stranger.pid, { ...at, path: "/silent" }, { signal: control.signal });
    setTimeout(() => control.abort(new Fault("timeout", "enough")), 20);
    await expect(asked).rejects.toThrow("enough");
  });
});
