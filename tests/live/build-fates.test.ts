/** Builds that cannot end well: a full disk, an engine that is killed, a client that is gone; and what the cache lets go. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";
import { processesWith, until } from "./told.ts";

let engine: EngineUnderTest;
let place: string;
const mebibyte = 1 << 20;
const ceilingBytes = 3 * mebibyte;

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "wherry-fates-"));
  const config = join(place, "daemon.json");
  writeFileSync(config, JSON.stringify({ builder: { gc: { defaultKeepStorage: `${ceilingBytes}b` } } }));
  flags = ["--config-file", config];
  engine = await EngineUnderTest.start(...flags);
  await engine.importBusybox();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(place, { recursive: true });
});

let flags: string[] = [];
let contexts = 0;
function context(dockerfile: string, files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const directory = join(place, `context-${++contexts}`);
  for (const [path, content] of Object.entries({ Dockerfile: dockerfile, ...files })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  return directory;
}

async function build(...args: readonly string[]): Promise<CliResult> {
  return await engine.cli("wherry", ["build", ...args]);
}

/** What builds leave when they are over: nothing. */
async function remains(): Promise<string[]> {
  const work = join(engine.directory, "data/build/work");
  return [...(await engine.leaks()), ...(existsSync(work) ? readdirSync(work) : [])];
}

async function nothingRemains(): Promise<void> {
  await until(async () => ((await remains()).length === 0 ? true : undefined), "an end of what a build had");
}

interface Begun {
  readonly child: ReturnType<EngineUnderTest["spawn"]>;
  readonly ended: Promise<unknown>;
}

/** A build whose command has begun. */
async function begun(program: "wherry" | "docker", seconds: number): Promise<Begun> {
  const directory = context(
    `FROM busybox\nCOPY f /f\nRUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t echo begun-$((1+1)); sleep ${seconds}\n`,
    { f: "f" },
  );
  const classic = context(`FROM busybox\nCOPY f /f\nRUN echo begun-$((1+1)); sleep ${seconds}\n`, { f: "f" });
  const args = program === "wherry" ? ["build", directory] : ["build", classic];
  const child = engine.spawn(program, args);
  const ended = once(child, "close");
  let told = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (part: Buffer) => {
      told += part.toString();
      if (told.includes("begun-2")) resolve();
    });
  void ended.then(() => reject(new Error(told)));
  await promise;
  return { child, ended };
}

const programs = ["wherry", ...(Bun.which("docker") === null ? [] : ["docker"])] as ("wherry" | "docker")[];

test.each(programs)("a client that vanishes takes its build along: %s", async (program) => {
  const seconds = program === "wherry" ? 54321 : 54322;
  const { child, ended } = await begun(program, seconds);
  expect(processesWith(`sleep ${seconds}`)).toHaveLength(1);
  child.kill("SIGKILL");
  await ended;
  await nothingRemains();
  expect(processesWith(`sleep ${seconds}`)).toEqual([]);
  expect((await build(context("FROM busybox\nRUN echo next\n"))).code).toBe(0);
});

test("killed amid a build, the engine comes back with nothing of it, and the next build works", async () => {
  const { ended } = await begun("wherry", 54323);
  await engine.stop("SIGKILL");
  await ended;
  await engine.start(...flags);
  await nothingRemains();
  expect(processesWith("sleep 54323")).toEqual([]);
  expect(mountsBeneath(join(engine.directory, "data")).map(({ target }) => target)).toEqual([]);
  const again = await build(
    context("FROM busybox\nCOPY f /f\nRUN --mount=type=cache,target=/c test -d /c && echo fine\n", {
      f: "f",
    }),
  );
  expect([again.code, again.stderr]).toEqual([0, expect.stringContaining(" fine\n")]);
  const records = await engine.client();
  expect(await records.containers.list({ all: true })).toEqual([]);
}, 120_000);

test("the cache is kept below its ceiling, what was used last stays", async () => {
  // What no image has: files are made and taken away again in a stage that is not the last.
  const made = (name: string) =>
    `FROM busybox AS m\nRUN : ${name} && head -c ${mebibyte} /dev/urandom >/big\nFROM busybox\nRUN --mount=type=bind,from=m,target=/m echo ${name} >/n\n`;
  for (const name of ["a", "b", "c", "d", "e"]) expect((await build(context(made(name)))).code).toBe(0);
  // The build that is on its way keeps what it stands on; the next one finds the room.
  expect((await build(context("FROM busybox\nRUN true\n"))).code).toBe(0);
  const client = await engine.client();
  const kept = (await client.diskUsage()).BuildCache ?? [];
  const bytes = kept.reduce((sum, { Size, Shared }) => sum + (Shared ? 0 : Size), 0);
  expect(bytes).toBeLessThanOrEqual(ceilingBytes);
  expect(bytes).toBeGreaterThan(mebibyte);
  const descriptions = kept.map(({ Description }) => Description).join("\n");
  expect(descriptions).toContain(": e &&");
  expect(descriptions).not.toContain(": a &&");
}, 120_000);

test("builder prune takes what its filters say, and nothing else", async () => {
  const cache = "RUN --mount=type=cache,id=one,target=/c : one >/c/x";
  expect((await build(context(`FROM busybox\n${cache}\nRUN echo layer >/l\n`))).code).toBe(0);
  const kinds = async () => {
    const client = await engine.client();
    return new Set(((await client.diskUsage()).BuildCache ?? []).map(({ Type }) => Type));
  };
  const prune = async (...filters: string[]) => {
    const words = filters.flatMap((each) => ["--filter", each]);
    const pruned = await engine.cli("wherry", ["builder", "prune", "-af", ...words]);
    expect([pruned.code, pruned.stderr]).toEqual([0, ""]);
    return pruned.stdout;
  };
  expect(await kinds()).toEqual(new Set(["exec.cachemount", "regular", "source.local"]));
  expect(await prune("until=10h")).toBe("Total reclaimed space: 0B\n");
  expect(await prune("type=exec.cachemount", "description=nowhere")).toBe("Total reclaimed space: 0B\n");
  await prune("type=exec.cachemount");
  expect(await kinds()).toEqual(new Set(["regular", "source.local"]));
  await prune("type=source.local");
  expect(await kinds()).toEqual(new Set(["regular"]));
  await prune("description=echo layer");
  const client = await engine.client();
  const left = ((await client.diskUsage()).BuildCache ?? []).map(({ Description }) => Description);
  expect(left.filter((each) => each.includes("echo layer"))).toEqual([]);
  expect(left).not.toEqual([]);
  await prune();
  expect(await kinds()).toEqual(new Set());
  const wrong = await engine.cli("wherry", ["builder", "prune", "-f", "--filter", "color=red"]);
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("color")]);
});

test("a context larger than the disk is refused, and its room is given back", async () => {
  const disk = join(place, "disk");
  mkdirSync(disk);
  await Bun.$`mount -t tmpfs -o size=24m none ${disk}`;
  const data = join(engine.directory, "data");
  await engine.stop();
  try {
    await Bun.$`mv ${data} ${data}.aside && mkdir ${data} && mount --bind ${disk} ${data}`;
    await engine.start(...flags);
    await engine.importBusybox();
    const free = () => statfsSync(disk).bavail;
    const before = free();
    const directory = context("FROM busybox\nCOPY . /all\n", { big: new Uint8Array(40 * mebibyte) });
    const full = await build(directory);
    expect([full.code, full.stderr]).toEqual([1, expect.stringMatching(/no space left|disk is full/i)]);
    if (programs.includes("docker")) {
      const classic = await engine.cli("docker", ["build", directory]);
      expect([classic.code, classic.stderr]).toEqual([
        1,
        expect.stringMatching(/no space left|disk is full/i),
      ]);
    }
    await nothingRemains();
    expect(before - free()).toBeLessThan(mebibyte / statfsSync(disk).bsize);
    expect((await build(context("FROM busybox\nRUN echo room\n"))).code).toBe(0);
  } finally {
    await engine.stop();
    await Bun.$`umount ${data}; umount ${disk}; rm -rf ${data} && mv ${data}.aside ${data}`.nothrow();
    await engine.start(...flags);
  }
}, 120_000);
