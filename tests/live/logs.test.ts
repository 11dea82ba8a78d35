/** Logs of real containers: everything that is kept, in order, whatever was written and however it is read. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import type { HostConfig } from "#spec/container.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => {
  client = await engine.client();
  for (const { Id } of await client.containers.list({ all: true }))
    await client.containers.remove(Id, { force: true });
});

async function create(script: string, host: HostConfig = {}, more: object = {}): Promise<string> {
  const { Id } = await client.containers.create({
    Image: "busybox",
    Cmd: ["sh", "-c", script],
    HostConfig: host,
    ...more,
  });
  return Id;
}

async function run(script: string, host: HostConfig = {}, more: object = {}): Promise<string> {
  const id = await create(script, host, more);
  await client.containers.start(id);
  return id;
}

async function ran(script: string, host: HostConfig = {}, more: object = {}): Promise<string> {
  const id = await create(script, host, more);
  const { exit } = await client.containers.wait(id, "next-exit");
  await client.containers.start(id);
  await exit;
  return id;
}

const rotation = (size: string, files: string, more = {}): HostConfig => ({
  LogConfig: { Type: "json-file", Config: { "max-size": size, "max-file": files, ...more } },
});

type LogOptions = Parameters<Client["containers"]["logs"]>[1];

/** Both streams, apart. */
async function logs(id: string, o: LogOptions = {}, signal?: AbortSignal) {
  const { body } = await client.containers.logs(id, o, signal);
  const decoder = new FrameDecoder();
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const bytes of body)
    for (const frame of decoder.push(bytes)) parts[frame.stream].push(Uint8Array.from(frame.bytes));
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

async function text(id: string, o: LogOptions = {}): Promise<string> {
  return (await logs(id, o)).stdout.toString();
}

function logFiles(id: string): { name: string; bytes: number }[] {
  const directory = join(engine.directory, "data/containers", id);
  return readdirSync(directory)
    .filter((name) => /^container\.log\.\d+(\.gz)?$/.test(name))
    .map((name) => ({ name, bytes: statSync(join(directory, name)).size }));
}
const sizeOf = (id: string) => logFiles(id).reduce((sum, { bytes }) => sum + bytes, 0);

async function until(what: string, met: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1500; tries++) {
    if (await met()) return;
    await Bun.sleep(10);
  }
  throw new Error(`it never came to be that ${what}; the engine said: ${engine.log}`);
}

/** What `seq FIRST LAST` prints. */
function numbers(first: number, last: number): string {
  let out = "";
  for (let each = first; each <= last; each++) out += `${each}\n`;
  return out;
}

/** That the text is the end of `numbers(1, last)`, whole lines only. */
function expectEndOf(last: number, got: string): void {
  const first = Number(got.split("\n", 1)[0]);
  expect(first).toBeGreaterThan(0);
  expect(got === numbers(first, last)).toBe(true);
}

test("a log stays within its limits, and shows everything kept in order: running, ended, restarted", async () => {
  const script = "seq 1 20000; read x; seq 20001 40000";
  const id = await run(script, rotation("200k", "3"), { OpenStdin: true });
  await until("20000 lines are there", async () => (await text(id, { tail: "1" })) === "20000\n");
  await until("the log is within its limits", () => sizeOf(id) <= 600_000);
  expect(logFiles(id).length).toBeLessThanOrEqual(4);
  expectEndOf(20000, await text(id));
  await using stream = await client.containers.attach(id, { stdin: true });
  const { exit } = await client.containers.wait(id);
  await stream.write(Buffer.from("go\n"));
  await exit;
  expect(sizeOf(id)).toBeLessThanOrEqual(600_000);
  expectEndOf(40000, await text(id));
  expect(await text(id, { tail: "3000" })).toBe(numbers(37001, 40000));
});

test("a follower gets every line over many files", async () => {
  const last = 400_000;
  const id = await create(`seq 1 ${last}`, rotation("1m", "5"));
  await using stream = await client.containers.attach(id, { stdin: false });
  await client.containers.start(id);
  const followed = text(id, { follow: true });
  const decoder = new FrameDecoder();
  let attached = "";
  for await (const bytes of stream.output)
    for (const frame of decoder.push(bytes)) attached += Buffer.from(frame.bytes).toString();
  expect(attached === numbers(1, last)).toBe(true);
  expectEndOf(last, await followed);
  expect(sizeOf(id)).toBeLessThanOrEqual(5_100_000);
});

test("rotated files may be kept compressed, and are read as any", async () => {
  const id = await ran("seq 1 60000", rotation("500k", "6", { compress: "true" }));
  await until("closed files are compressed", () => logFiles(id).some(({ name }) => name.endsWith(".gz")));
  await until(
    "nothing is half done",
    () => logFiles(id).filter(({ name }) => !name.endsWith(".gz")).length <= 2,
  );
  const all = await text(id);
  expectEndOf(60000, all);
  for (const lines of [1, 9000, 25000, 40000])
    expect(await text(id, { tail: String(lines) })).toBe(
      all.split("\n").length - 1 >= lines ? numbers(60001 - lines, 60000) : all,
    );
});

test("nothing is lost of what is written while there is no engine, and the log is within its limits afterwards", async () => {
  const id = await run("seq 1 20000; sleep 0.5; seq 20001 60000; sleep 100", rotation("300k", "4"));
  await until("lines are there", async () => (await text(id, { tail: "1" })) !== "");
  await engine.stop("SIGKILL");
  const log = join(engine.directory, "data/containers", id, "container.log");
  await until("the last line is written", () => readFileSync(log, "latin1").endsWith(" 60000\n"));
  await engine.start();
  client = await engine.client();
  expectEndOf(60000, await text(id));
  await until("the log is within its limits", () => sizeOf(id) <= 1_200_000);
  expectEndOf(60000, await text(id));
  // conmon goes on as before.
  await client.containers.kill(id, "KILL");
});
