/** What no client of BuildKit's sends, sent by hand: the engine answers each in a sentence, keeps nothing, and lives on. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { GrpcChannel } from "#grpc/grpc-channel.ts";
import { control } from "#spec/buildkit-control.ts";
import { buildIdHeader, gateway } from "#spec/buildkit-gateway.ts";
import { Op } from "#spec/buildkit-llb.ts";
import { content } from "#spec/content-service.ts";
import { GrpcError } from "#spec/grpc-status.ts";
import { buildContext } from "./build-context.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => {
  expect(await engine.leaks()).toEqual([]);
  await engine[Symbol.asyncDispose]();
});

const signal = new AbortController().signal;

async function socketOf(): Promise<Socket> {
  const socket = connect(join(engine.directory, "engine.sock"));
  await once(socket, "connect");
  return socket;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "accepted",
    (thrown: unknown) => (thrown instanceof GrpcError ? `${thrown.code} ${thrown.message}` : String(thrown)),
  );
}

const digest = (at: number): string => `sha256:${String(at).padStart(64, "0")}`;

/** Two operations that wait for each other, one that does, a long list, what is none at all, and none known. */
const graphs: [name: string, operations: Uint8Array[]][] = [
  ["a circle", [0, 1].map((at) => Op.encode({ inputs: [{ digest: digest(1 - at), index: 0 }] }))],
  ["itself", [Op.encode({ inputs: [{ digest: digest(0), index: 0 }] })]],
  [
    "20,000 operations",
    Array.from({ length: 20_000 }, (_, at) => Op.encode({ inputs: [{ digest: digest(at), index: at }] })),
  ],
  ["noise", [Buffer.from("ffffffffffffffffffff01", "hex"), Buffer.from("not protobuf")]],
  ["an operation of a number nobody knows", [Buffer.from([0xfa, 0x3f, 0x02, 0x08, 0x01])]],
  [
    "an image's source",
    [Op.encode({ source: { identifier: "docker-image://docker.io/library/busybox:latest" } })],
  ],
  ["a path of this machine", [Op.encode({ source: { identifier: "local:///etc" } })]],
  ["a result nobody has", [Op.encode({ source: { identifier: "wherry-result://0123456789abcdef" } })]],
];

test.each(graphs)("a graph of %s is refused", async (name, def) => {
  using channel = new GrpcChannel(await socketOf());
  const inside = `inside-${name.replace(/\W/g, "-")}`;
  const whole = channel.ask(
    control.solve,
    { Ref: `graph-${name.replace(/\W/g, "-")}`, Definition: { def } },
    { signal },
  );
  expect(await refusal(whole)).toMatch(
    /^2 (?:a build cannot start from a graph|no such ref|a message cannot be read)/,
  );
  const outer = refusal(channel.ask(control.solve, { Ref: inside }, { signal }));
  const metadata = { [buildIdHeader]: [inside] };
  const asked = { Frontend: "dockerfile.v0", FrontendInputs: { context: { def } } };
  const inner = channel.ask(gateway.solve, asked, { signal, metadata });
  expect(await refusal(inner)).toMatch(
    /^2 (?:a build cannot start from a graph|no such ref|a message cannot be read)/,
  );
  await channel.ask(gateway.return, { error: { code: 2, message: "gave up" } }, { signal, metadata });
  expect(await outer).toBe("2 gave up");
});

test("a client gets at no other's results, and at nothing outside its own", async () => {
  using mine = new GrpcChannel(await socketOf());
  using other = new GrpcChannel(await socketOf());
  const whole = mine.ask(control.solve, { Ref: "mine" }, { signal });
  const metadata = { [buildIdHeader]: ["mine"] };
  const o = { signal, metadata };
  const inline = { Frontend: "dockerfile.v0", FrontendOpt: { context: "http://127.0.0.1:1/none" } };
  expect(await refusal(mine.ask(gateway.solve, inline, o))).toContain(
    "failed to GET http://127.0.0.1:1/none",
  );
  for (const channel of [mine, other]) {
    const ref = "0".repeat(32);
    expect(
      await refusal(channel.ask(gateway.readFile, { Ref: ref, FilePath: "/etc/passwd" }, o)),
    ).toStartWith("2 no such ref");
    expect(await refusal(channel.ask(gateway.readDir, { Ref: `${ref}.9`, DirPath: "/" }, o))).toStartWith(
      "2 no such ref",
    );
    expect(await refusal(channel.ask(gateway.statFile, { Ref: "../..", Path: "/" }, o))).toStartWith(
      "2 no such ref",
    );
  }
  await mine.ask(gateway.return, { error: { code: 1, message: "left" } }, o);
  expect(await refusal(whole)).toBe("1 left");
  expect(
    await refusal(mine.ask(content.info, { digest: "sha256:../../../records.db" }, { signal })),
  ).toStartWith("5 ");
  expect(
    await refusal(mine.ask(control.updateBuildHistory, { Ref: "__proto__", Delete: true }, { signal })),
  ).toContain("not found");
});

/** One call with a body as it is. @returns the status, or that the stream was broken off. */
async function raw(path: string, body: Buffer, headers: Record<string, string> = {}): Promise<string> {
  const socket = await socketOf();
  const session = connectHttp2("http://localhost", { createConnection: () => socket });
  session.on("error", () => undefined);
  try {
    const stream = session.request({
      ...{ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...headers },
    });
    stream.on("error", () => undefined);
    let status = "broken off";
    const note = (found: Readonly<Record<string, unknown>>): void => {
      if (found["grpc-status"] !== undefined) status = String(found["grpc-status"]);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.resume();
    stream.end(body);
    await once(stream, "close");
    return status;
  } finally {
    session.destroy();
    socket.destroy();
  }
}

const framed = (flag: number, length: number, bytes = ""): Buffer => {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, Buffer.from(bytes)]);
};

test("frames that lie, methods that are none and messages that are noise end a call, not the engine", async () => {
  const solve = control.solve.path;
  expect(await raw(solve, framed(0, 0xffffffff))).not.toBe("0");
  expect(await raw(solve, framed(0, 100, "short"))).not.toBe("0");
  expect(await raw(solve, framed(1, 5, "gzip?"))).not.toBe("0");
  expect(await raw(solve, Buffer.alloc(0))).not.toBe("0");
  expect(await raw(solve, framed(0, 5, "\xff\xff\xff"))).not.toBe("0");
  expect(await raw("/moby.buildkit.v1.Control/Format", framed(0, 0))).toBe("12");
  expect(await raw("/../../etc/passwd", framed(0, 0))).toBe("12");
  expect(await raw(solve, framed(0, 0), { "grpc-timeout": "999999999999H" })).not.toBe("0");
  const { code, stdout } = await engine.cli("wherry", ["version", "--format", "{{.Server.Version}}"]);
  expect([code, stdout.trim()]).toEqual([0, expect.stringMatching(/\d/)]);
});

test("a build whose client goes in the middle of a step leaves nothing, and its record says so", async () => {
  const directory = buildContext(join(engine.directory, "long"), {
    Dockerfile: "FROM busybox\nRUN echo on; sleep 600\n",
  });
  const child = engine.spawn("wherry", ["build", "--progress", "plain", directory]);
  let said = "";
  child.stderr?.on("data", (part: Buffer) => {
    said += part.toString();
  });
  while (!/\d on\n/.test(said)) await once(child.stderr!, "data");
  child.kill("SIGKILL");
  await once(child, "close");
  expect(await engine.leaks()).toEqual([]);
  using channel = new GrpcChannel(await socketOf());
  for (;;) {
    using call = channel.open(control.listenBuildHistory, { signal });
    await call.send({ EarlyExit: true });
    call.end();
    const [newest] = await Array.fromAsync(call.responses);
    if (newest?.record?.CompletedAt === undefined) continue;
    expect(newest.record.error?.message).toBe("context canceled");
    break;
  }
});
