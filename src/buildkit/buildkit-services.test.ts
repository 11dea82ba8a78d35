import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BuildRequest, BuildResult } from "#build/request/build-request.ts";
import { GrpcChannel } from "#grpc/grpc-channel.ts";
import { control } from "#spec/buildkit-control.ts";
import { buildIdHeader, gateway } from "#spec/buildkit-gateway.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { GrpcError } from "#spec/grpc-status.ts";
import { Records } from "#store/records.ts";
import { BuildHistory } from "./build-history.ts";
import { BuildJobs } from "./build-jobs.ts";
import { Buildkit } from "./buildkit-services.ts";
import { ClientSessions } from "./client-sessions.ts";
import { Mirrors } from "./mirrors.ts";
import { filterOf } from "./usage.ts";

let root: string;
let server: Server;
let records: Records;
let channel: GrpcChannel;
let build: (request: BuildRequest) => Promise<BuildResult>;
let disposed = 0;
const stored: string[][] = [];
const stop = new AbortController();
const signal = stop.signal;

const image = {
  architecture: "amd64",
  os: "linux",
  config: {},
  rootfs: { type: "layers" as const, diff_ids: [] },
  history: [],
};
const made = (): BuildResult => ({
  perPlatform: [{ platform: { os: "linux", architecture: "amd64" }, config: image }],
  multiPlatform: false,
  source: { filename: "Dockerfile", text: "FROM x" },
  [Symbol.dispose]: () => void disposed++,
});

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "wherry-buildkit-"));
  records = Records.open(join(root, "records.db"));
  build = async () => made();
  [disposed, stored.length] = [0, 0];
  let clock = 1000;
  const now = () => ++clock;
  const buildkit = new Buildkit({
    builder: {
      build: (request) => build(request),
      results: {
        store: async (_, { wanted: { names } }) => {
          stored.push([...names]);
          return { id: `sha256:${"b".repeat(64)}` as Digest };
        },
        compose: () => Promise.reject(new Error("nothing is composed here")),
        push: () => Promise.reject(new Error("nothing is pushed here")),
        exportCache: async () => undefined,
      },
      tree: async () => {
        mkdirSync(join(root, "tree"), { recursive: true });
        writeFileSync(join(root, "tree", "file"), "content");
        mkdirSync(join(root, "tree", "d"), { recursive: true });
        writeFileSync(join(root, "tree", "d", "inner"), "");
        rmSync(join(root, "tree", "link"), { force: true });
        symlinkSync("/d", join(root, "tree", "link"));
        return { root: join(root, "tree"), [Symbol.asyncDispose]: async () => undefined };
      },
    },
    ...{ sessions: new ClientSessions(), jobs: new BuildJobs(now) },
    history: new BuildHistory(records, join(root, "history"), now),
    ...{ mirrors: Mirrors.open(join(root, "contexts"), now), socketDirectory: root, version: "0.1.0", now },
    ...{
      architecture: "amd64",
      id: () => "engine",
      hostGateway: () => "172.17.0.1",
      report: () => undefined,
    },
  });
  server = createServer({ allowHalfOpen: true }, (socket) => void buildkit.serve(socket, signal));
  server.listen(join(root, "s"));
  await once(server, "listening");
  const socket = connect(join(root, "s"));
  await once(socket, "connect");
  channel = new GrpcChannel(socket);
});
afterEach(() => {
  channel[Symbol.dispose]();
  server.close();
  records[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

const of = (ref: string) => ({ signal, metadata: { [buildIdHeader]: [ref] } });
const exporters = [{ Type: "moby", Attrs: { name: "x,docker.io/library/x:latest,y:1" } }];

/** A build as buildx does it: three calls that find each other by the reference. */
async function builtAs(ref: string, frontend = "dockerfile.v0", options: Record<string, string> = {}) {
  const whole = channel.ask(control.solve, { Ref: ref, Exporters: exporters }, { signal });
  whole.catch(() => undefined);
  try {
    const { result } = await channel.ask(
      gateway.solve,
      { Frontend: frontend, FrontendOpt: options },
      of(ref),
    );
    await channel.ask(gateway.return, { result }, of(ref));
  } catch (thrown) {
    const { code, message, details } = thrown as GrpcError;
    await channel.ask(gateway.return, { error: { code, message, details } }, of(ref));
  }
  return await whole;
}

describe("BuildKit's services", () => {
  test("build, name the image once under each name, and remember", async () => {
    const { ExporterResponse } = await builtAs("r1");
    expect({ ...ExporterResponse }).toEqual({
      "containerimage.digest": `sha256:${"b".repeat(64)}`,
      "containerimage.config.digest": `sha256:${"b".repeat(64)}`,
      "image.name": "docker.io/library/x:latest,docker.io/library/y:1",
    });
    expect(stored).toEqual([["docker.io/library/x:latest", "docker.io/library/y:1"]]);
    using history = channel.open(control.listenBuildHistory, { signal });
    await history.send({ EarlyExit: true });
    history.end();
    const [event] = await Array.fromAsync(history.responses);
    expect([event?.type, event?.record?.Ref, event?.record?.error]).toEqual([1, "r1", undefined]);
    await channel.ask(control.updateBuildHistory, { Ref: "r1", Delete: true }, { signal });
    expect(
      await refused(channel.ask(control.updateBuildHistory, { Ref: "r1", Delete: true }, { signal })),
    ).toContain("not found");
  });

  test("tell what happens to whoever watches, from the beginning", async () => {
    build = async ({ progress }) => {
      progress.vertex({
        digest: `sha256:${"c".repeat(64)}` as Digest,
        inputs: [],
        name: "[1/1] FROM x",
        startedMs: 1,
      });
      return made();
    };
    using status = channel.open(control.status, { signal });
    await status.send({ Ref: "r2" });
    status.end();
    const [messages] = await Promise.all([Array.fromAsync(status.responses), builtAs("r2")]);
    const names = new Set(messages.flatMap(({ vertexes }) => vertexes.map(({ name }) => name)));
    expect([...names]).toEqual(["[1/1] FROM x", "exporting to image"]);
  });

  test("fail a build with what the client returned of its failure", async () => {
    build = () => Promise.reject(new Fault("invalid", "no such stage"));
    expect(await refused(builtAs("r3"))).toBe("2 no such stage");
    expect(stored).toEqual([]);
  });

  test("hold a result as another's input until the client leaves", async () => {
    const whole = channel.ask(control.solve, { Ref: "r4" }, { signal });
    const { result } = await channel.ask(gateway.solve, { Frontend: "dockerfile.v0" }, of("r4"));
    let inputs: BuildRequest["inputs"];
    build = async (request) => {
      inputs = request.inputs;
      return made();
    };
    const def = result!.ref!.def!;
    await channel.ask(gateway.evaluate, { Ref: result!.ref!.id }, of("r4"));
    await channel.ask(gateway.solve, { Frontend: "dockerfile.v0", FrontendInputs: { "0-a": def } }, of("r4"));
    expect(inputs?.get("0-a")?.source.text).toBe("FROM x");
    const { Data } = await channel.ask(
      gateway.readFile,
      { Ref: result!.ref!.id, FilePath: "/file" },
      of("r4"),
    );
    expect(Buffer.from(Data).toString()).toBe("content");
    expect(
      await refused(channel.ask(gateway.readFile, { Ref: result!.ref!.id, FilePath: "no" }, of("r4"))),
    ).toContain("no");
    const list = async (DirPath: string, IncludePattern = "") => {
      const asked = { Ref: result!.ref!.id, DirPath, IncludePattern };
      const { entries } = await channel.ask(gateway.readDir, asked, of("r4"));
      return entries.map(({ path, size, linkname }) => `${path} ${size} ${linkname}`.trim());
    };
    expect(await list("/")).toEqual(["d 0", "file 7", "link 0 /d"]);
    expect(await list(".", "f*")).toEqual(["file 7"]);
    expect(await list("link/")).toEqual(["inner 0"]);
    expect(await refused(list("none"))).toContain("readdir none");
    expect(await refused(list("file"))).toContain("readdir file");
    const { stat } = await channel.ask(gateway.statFile, { Ref: result!.ref!.id, Path: "d" }, of("r4"));
    expect(stat?.path).toBe("d");
    await channel.ask(gateway.return, {}, of("r4"));
    await whole;
    expect(disposed).toBe(0);
    channel[Symbol.dispose]();
    while (disposed < 2) await Bun.sleep(1);
  });

  test("stop a build whose client cancels", async () => {
    const { promise: begun, resolve } = Promise.withResolvers<AbortSignal>();
    build = async (request) => {
      resolve(request.signal);
      await once(request.signal, "abort");
      throw request.signal.reason;
    };
    const abort = new AbortController();
    const whole = refused(channel.ask(control.solve, { Ref: "r5" }, { signal: abort.signal }));
    const solving = refused(channel.ask(gateway.solve, { Frontend: "dockerfile.v0" }, of("r5")));
    const inner = await begun;
    abort.abort(new Error("enough"));
    await Promise.all([whole, solving]);
    expect(inner.aborted).toBe(true);
  });

  test.each([
    ["gateway.v0", { source: "docker/dockerfile:1.9" }, "built"],
    ["gateway.v0", { source: "docker.io/docker/dockerfile-upstream@sha256:00" }, "built"],
    ["gateway.v0", { source: "example.com/frontend" }, "2 custom frontend"],
    ["other.v0", {}, "2 frontend"],
    [
      "dockerfile.v0",
      { "frontend.caps": "moby.buildkit.frontend.inputs,moby.buildkit.frontend.contexts+forward" },
      "built",
    ],
    [
      "dockerfile.v0",
      { "frontend.caps": "moby.buildkit.frontend.new" },
      "12 unsupported frontend capability",
    ],
    ["dockerfile.v0", { requestid: "frontend.unheard" }, "12 unsupported request"],
  ])("frontend %s %j: %s", async (frontend, options, outcome) => {
    const told = await builtAs("r6", frontend, options as Record<string, string>).then(
      () => "built",
      ({ code, message }: GrpcError) => `${code} ${message}`,
    );
    expect(told).toStartWith(outcome);
  });

  test("know one worker, and refuse what cannot be", async () => {
    const { record } = await channel.ask(control.listWorkers, {}, { signal });
    expect(record[0]?.platforms[0]).toMatchObject({ OS: "linux", Architecture: "amd64" });
    expect(record[0]?.Labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"]).toBe("172.17.0.1");
    expect(await refused(channel.ask(control.solve, { Ref: "../x" }, { signal }))).toContain("reference");
    const unknown = { Ref: "r7", Frontend: "dockerfile.v0", Exporters: [{ Type: "floppy" }] };
    expect(await refused(channel.ask(control.solve, unknown, { signal }))).toContain('exporter "floppy"');
  });
});

async function refused(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (thrown: unknown) => (thrown instanceof GrpcError ? `${thrown.code} ${thrown.message}` : String(thrown)),
  );
}

describe("filters of what builds leave", () => {
  const record = {
    ...{ id: "abc", parents: ["p"], type: "source.local", description: "local source for context" },
    ...{ sizeBytes: 1, createdMs: 1, uses: 1, inUse: false, shared: false, mutable: true },
  };
  test.each([
    [[], true],
    [["type==source.local"], true],
    [["type==regular"], false],
    [["type!=regular,mutable"], true],
    [["type==regular", "id~=^a"], true],
    [["inuse"], false],
    [['description=="local source for context"'], true],
  ])("%j", (filters, matches) => expect(filterOf(filters as string[])(record)).toBe(matches as boolean));
});
