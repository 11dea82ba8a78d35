import { describe, expect, test } from "bun:test";
import { BuildFault } from "#build/request/build-request.ts";
import type { StatusWritten } from "#spec/buildkit-control.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { buildError } from "./error-details.ts";
import { logBytesMax, StatusFeed } from "./status-feed.ts";

const digest = `sha256:${"a".repeat(64)}` as Digest;
const signal = new AbortController().signal;

async function all(feed: StatusFeed): Promise<StatusWritten[]> {
  return await Array.fromAsync(feed.watch(signal));
}

describe("what a build tells", () => {
  test("reaches those who come late as well as those who wait", async () => {
    const feed = new StatusFeed();
    const early = all(feed);
    feed.vertex({ digest, inputs: [], name: "[1/1] RUN x", startedMs: 1.5 });
    await Bun.sleep(0);
    feed.log({ vertex: digest, stream: "stderr", bytes: Buffer.from("hi"), timeMs: 2 });
    feed.vertex({ digest, inputs: [], name: "[1/1] RUN x", startedMs: 1.5, completedMs: 3 });
    feed.end();
    const [late] = await all(feed);
    expect(late?.vertexes?.map(({ started, completed }) => [started, completed])).toEqual([
      [1_500_000n, undefined],
      [1_500_000n, 3_000_000n],
    ]);
    expect(late?.logs?.[0]?.stream).toBe(2);
    const seen = await early;
    expect(seen.flatMap(({ vertexes = [] }) => vertexes).length).toBe(2);
  });

  test("is clipped where it would fill the memory", async () => {
    const feed = new StatusFeed();
    feed.vertex({ digest, inputs: [], name: "yes", startedMs: 1 });
    const bytes = Buffer.alloc(8 << 20, "y\n");
    for (let count = 0; count < 12; count++) feed.log({ vertex: digest, stream: "stdout", bytes, timeMs: 2 });
    feed.end();
    const logs = (await all(feed)).flatMap((message) => message.logs ?? []);
    const total = logs.reduce((sum, { msg }) => sum + (msg?.length ?? 0), 0);
    expect(total).toBeLessThan(logBytesMax + 100);
    expect(Buffer.from(logs.at(-1)?.msg ?? []).toString()).toContain("output clipped");
    expect(Math.max(...logs.map(({ msg }) => msg?.length ?? 0))).toBeLessThanOrEqual(1 << 20);
  });

  test("ends for a watcher that leaves", async () => {
    const abort = new AbortController();
    const watching = Array.fromAsync(new StatusFeed().watch(abort.signal));
    abort.abort();
    expect(await watching).toEqual([]);
  });
});

describe("how a build fails", () => {
  test("with the lines a client shows", () => {
    const source = { filename: "Dockerfile", text: "FROM x\nRUN false\n" };
    const error = buildError(
      new BuildFault("invalid", "exit code: 1", { source, lines: [{ start: 2, end: 2 }], vertex: digest }),
      "/data",
    );
    expect([error.code, error.message]).toEqual([2, "exit code: 1"]);
    const [vertex, place] = error.details.map(({ value }) => JSON.parse(Buffer.from(value).toString()));
    expect(vertex).toEqual({ digest });
    expect(place).toEqual({
      info: {
        filename: "Dockerfile",
        data: Buffer.from(source.text).toString("base64"),
        language: "Dockerfile",
      },
      ranges: [{ start: { line: 2 }, end: { line: 2 } }],
    });
    expect(error.details[1]?.typeUrl).toBe("github.com/moby/buildkit/errdefs.Source+json");
  });

  test("for want of room, with the way out", () => {
    const cause = Object.assign(new Error("ENOSPC: write"), { code: "ENOSPC" });
    expect(buildError(new Fault("internal", "x", { cause }), "/data").message).toContain(
      "disk that holds /data",
    );
  });

  test("in words alone, or by being called off", () => {
    expect(buildError(new Fault("internal", "oops"), "/data")).toMatchObject({
      code: 2,
      message: "oops",
      details: [],
    });
    expect(buildError(new Fault("cancelled", "x"), "/data")).toMatchObject({
      code: 1,
      message: "context canceled",
    });
  });
});
