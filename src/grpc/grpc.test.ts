import { afterEach, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import { bytes, int64, message, string } from "#spec/proto-message.ts";
import { method } from "#spec/rpc-method.ts";
import { GrpcChannel } from "./grpc-channel.ts";
import { type ServerCall, type Services, serveGrpc, streaming, unary } from "./grpc-server.ts";
import { messageBytesMax } from "./length-prefix.ts";
import { escapeStatusText, timeoutMs, unescapeStatusText } from "./metadata.ts";

const Text = message({ text: string(1) });
const Data = message({ data: bytes(1), count: int64(2) });
const echo = method("/t.T/Echo", Text, Text);
const count = method("/t.T/Count", Data, Data);
const pour = method("/t.T/Pour", Data, Data);

const open: (Server | Socket)[] = [];
const stop = new AbortController();
afterEach(() => {
  for (const each of open.splice(0)) "destroy" in each ? each.destroy() : each.close();
});

async function between(services: Services): Promise<GrpcChannel> {
  const directory = mkdtempSync(join(tmpdir(), "wherry-grpc-"));
  const path = join(directory, "s");
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void serveGrpc(socket, services, { signal: stop.signal, report: () => undefined });
  });
  server.listen(path);
  await once(server, "listening");
  const socket = connectSocket(path);
  await once(socket, "connect");
  rmSync(directory, { recursive: true });
  open.push(server, socket);
  return new GrpcChannel(socket);
}

const never = new AbortController().signal;

async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (thrown: Error) => thrown.message,
  );
}

describe("gRPC over a connection", () => {
  test("asks and is answered, many at once", async () => {
    using channel = await between(new Map([unary(echo, ({ text }) => ({ text: `${text}!` }))]));
    const texts = await Promise.all(
      Array.from({ length: 100 }, (_, index) => channel.ask(echo, { text: `ü${index}` }, { signal: never })),
    );
    expect(texts.map(({ text }) => text)).toEqual(Array.from({ length: 100 }, (_, index) => `ü${index}!`));
  });

  test("ends with status, words and details", async () => {
    const detail = { typeUrl: "x/y", value: Uint8Array.of(1, 2) };
    using channel = await between(
      new Map([
        unary(echo, ({ text }) => {
          if (text === "fault") throw new Fault("invalid", "100 % wröng");
          throw new GrpcError(grpcCode.notFound, "none\nhere", [detail]);
        }),
      ]),
    );
    const failed = channel.ask(echo, { text: "" }, { signal: never });
    expect(await failed.catch((thrown: GrpcError) => thrown.status)).toEqual({
      code: 5,
      message: "none\nhere",
      details: [detail],
    });
    expect(await refusal(channel.ask(echo, { text: "fault" }, { signal: never }))).toBe("100 % wröng");
    const unknown = channel.ask(method("/t.T/None", Text, Text), { text: "" }, { signal: never });
    expect(await unknown.catch((thrown: GrpcError) => thrown.code)).toBe(grpcCode.unimplemented);
  });

  test("repeats of a header stay apart, and go both ways in their order", async () => {
    let seen: unknown;
    using channel = await between(
      new Map([
        unary(echo, ({ text }, { metadata }) => {
          seen = metadata["dir"];
          return { text };
        }),
      ]),
    );
    await channel.ask(echo, { text: "a" }, { signal: never, metadata: { dir: ["a,b", "c"] } });
    expect(seen).toEqual(["a,b", "c"]);
  });

  test("carries megabytes in both directions at the slower side's pace", async () => {
    const chunk = new Uint8Array(3 << 20).fill(7);
    using channel = await between(
      new Map([
        [
          pour.path,
          async (call: ServerCall) => {
            let total = 0;
            for await (const part of call.requests) total += Data.decode(part).data.length;
            for (let index = 0; index < 5; index++) await call.send(Data.encode({ data: chunk }));
            await call.send(Data.encode({ count: total }));
          },
        ],
      ]),
    );
    using call = channel.open(pour, { signal: never });
    for (let index = 0; index < 5; index++) await call.send({ data: chunk });
    call.end();
    let [received, told] = [0, 0];
    for await (const { data, count: total } of call.responses)
      [received, told] = [received + data.length, total];
    expect([received, told]).toEqual([5 * chunk.length, 5 * chunk.length]);
  });

  test("cancelling tells the other side", async () => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    using channel = await between(
      new Map([
        streaming(count, async (_, call, say) => {
          await say({ count: 1 });
          begin();
          call.signal.addEventListener("abort", () => resolve());
          await left;
        }),
      ]),
    );
    const abort = new AbortController();
    using call = channel.open(count, { signal: abort.signal });
    await call.send({ count: 1 });
    call.end();
    await begun;
    abort.abort(new Fault("cancelled", "enough"));
    await left;
    const rest = async () => {
      for await (const _ of call.responses);
    };
    expect(await refusal(rest())).toBe("enough");
  });

  test("refuses what is too large", async () => {
    using channel = await between(new Map([unary(count, () => ({ count: 1 }))]));
    using call = channel.open(count, { signal: never });
    const sent = call.send({ data: new Uint8Array(messageBytesMax) }).catch(() => undefined);
    const rest = async () => {
      for await (const _ of call.responses);
    };
    expect(await rest().catch((thrown: GrpcError) => thrown.code)).toBe(grpcCode.resourceExhausted);
    channel[Symbol.dispose]();
    await sent;
  });

  test("all calls end with the connection", async () => {
    using channel = await between(
      new Map([unary(echo, async (_, { signal }) => await once(signal, "abort").then(() => ({ text: "" })))]),
    );
    const asked = channel.ask(echo, { text: "" }, { signal: never });
    await Bun.sleep(1);
    for (const each of open) if ("destroy" in each) each.destroy();
    expect(await refusal(asked)).not.toBe("none");
    expect(channel.closed.aborted).toBe(true);
  });
});

describe("header values", () => {
  test("of time", () => {
    expect([
      timeoutMs("15S"),
      timeoutMs("14999970u"),
      timeoutMs("1n"),
      timeoutMs("x"),
      timeoutMs(undefined),
    ]).toEqual([15_000, 15_000, 1, undefined, undefined]);
  });
  test("of words", () => {
    const text = 'ü % "a"\n';
    expect(escapeStatusText(text)).toBe('%C3%BC %25 "a"%0A');
    expect(unescapeStatusText(escapeStatusText(text))).toBe(text);
    expect(unescapeStatusText("50% of")).toBe("50% of");
  });
});
