/** Logs of real containers: everything that is kept, in order, whatever was written and however it is read. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import type { HostConfig } from "#spec/container.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

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
  await engine.removeContainers();
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
  const lines = got.split("\n");
  const wrong = lines.findIndex((line, index) => index < lines.length - 1 && Number(line) !== first + index);
  expect(wrong < 0 ? "" : lines.slice(Math.max(0, wrong - 2), wrong + 3).join(" ")).toBe("");
  expect(lines.slice(-2)).toEqual([String(last), ""]);
}

test("a log stays within its limits, and shows everything kept in order: running, ended, restarted", async () => {
  const script = "seq 1 20000; read x; seq 20001 40000";
  const id = await run(script, rotation("200k", "3"), { OpenStdin: true });
  await until(async () => (await text(id, { tail: "1" })) === "20000\n", "20000 lines are there");
  await until(() => sizeOf(id) <= 600_000, "the log is within its limits");
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
  await until(() => logFiles(id).some(({ name }) => name.endsWith(".gz")), "closed files are compressed");
  await until(
    () => logFiles(id).filter(({ name }) => !name.endsWith(".gz")).length <= 2,
    "nothing is half done",
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
  await until(async () => (await text(id, { tail: "1" })) !== "", "lines are there");
  await engine.stop("SIGKILL");
  const log = join(engine.directory, "data/containers", id, "container.log");
  await until(() => readFileSync(log, "latin1").endsWith(" 60000\n"), "the last line is written");
  await engine.start();
  client = await engine.client();
  expectEndOf(60000, await text(id));
  await until(() => sizeOf(id) <= 1_200_000, "the log is within its limits");
  expectEndOf(60000, await text(id));
  // conmon goes on as before.
  await client.containers.kill(id, "KILL");
});

test("streams, times and numbers of lines are chosen as asked; asking for no stream is refused", async () => {
  const id = await ran(
    "echo one; sleep 0.02; echo two >&2; sleep 0.02; echo three",
    {
      LogConfig: { Type: "json-file", Config: { labels: "team", env: "MODE", tag: "{{.ID}}" } },
    },
    { Labels: { team: "a b" }, Env: ["MODE=x&y"] },
  );
  const at = async (query: string) => {
    const answer = await fetch(`http://engine/containers/${id}/logs?${query}`, {
      unix: engine.host.replace("unix://", ""),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (answer.status !== 200) return `${answer.status} ${bytes.toString()}`;
    return new FrameDecoder()
      .push(bytes)
      .map(({ stream, bytes: part }) => `${stream}: ${Buffer.from(part)}`)
      .join("");
  };
  expect(await at("")).toBe('400 {"message":"Bad parameters: you must choose at least one stream"}\n');
  expect(await at("stdout=1")).toBe("stdout: one\nstdout: three\n");
  expect(await at("stderr=1")).toBe("stderr: two\n");
  expect(await at("stdout=1&stderr=1&tail=2")).toBe("stderr: two\nstdout: three\n");
  expect(await at("stdout=1&tail=0")).toBe("");
  const dated = await at("stdout=1&stderr=1&timestamps=1");
  const times = [...dated.matchAll(/: (\S{30}) (?:one|two|three)\n/g)].map(([, time]) => time ?? "");
  expect(times).toHaveLength(3);
  expect([...times].sort()).toEqual(times);
  const seconds = (time: string) => `${Math.floor(Date.parse(time) / 1000)}.${time.slice(20, 29)}`;
  const [first = "", second = "", third = ""] = times.map(seconds);
  expect(await at(`stdout=1&stderr=1&since=${second}`)).toBe("stderr: two\nstdout: three\n");
  expect(await at(`stdout=1&stderr=1&until=${second}`)).toBe("stdout: one\nstderr: two\n");
  expect(await at(`stdout=1&stderr=1&since=${first}&until=${third}&tail=1`)).toBe("stdout: three\n");
  expect(await at("stdout=1&details=1&tail=1")).toBe(
    `stdout: MODE=x%26y,tag=${id.slice(0, 12)},team=a+b three\n`,
  );
  expect(await at("stdout=1&since=abc")).toStartWith("400 ");
  const shown = async (program: string) =>
    await engine.cli(program, ["logs", "--details", "--timestamps", "--tail", "1", id]);
  expect((await shown("wherry")).stdout).toEndWith(`Z MODE=x%26y,tag=${id.slice(0, 12)},team=a+b three\n`);
  if (dockerCli !== null) expect(await shown("docker")).toEqual(await shown("wherry"));
});

test("whatever bytes a process writes come back: long lines, no newline at the end, zeros", async () => {
  const id = await ran(
    "head -c 10000000 /dev/zero | tr '\\0' x; printf '\\n\\0\\377\\r\\n\\n'; printf 'err\\0' >&2; printf end",
  );
  const { stdout, stderr } = await logs(id);
  expect(
    stdout.equals(Buffer.concat([Buffer.alloc(10_000_000, "x"), Buffer.from("\n\0\xff\r\n\nend", "latin1")])),
  ).toBe(true);
  expect(stderr.toString("latin1")).toBe("err\0");
  // A line is one line, however it was written.
  expect((await logs(id, { tail: "1" })).stdout.toString()).toBe("end");
  const dated = (await logs(id, { timestamps: true })).stdout.toString("latin1");
  expect(dated.match(/\d{4}-\d\d-\d\dT/g)).toHaveLength(4);
});

test("a terminal's output comes as it is, carriage returns and all", async () => {
  const id = await ran("printf 'one\\ntwo'; echo err >&2", {}, { Tty: true });
  const { body } = await client.containers.logs(id, {});
  expect(Buffer.concat(await Array.fromAsync(body)).toString()).toBe("one\r\ntwoerr\r\n");
  const dated = await client.containers.logs(id, { timestamps: true });
  expect(Buffer.concat(await Array.fromAsync(dated.body)).toString()).toMatch(
    /^\S{30} one\r\n\S{30} twoerr\r\n$/,
  );
});

test("following ends with the run, also of a container that is started again; or when its time is over", async () => {
  const id = await run(
    "echo begun; read x; echo done",
    { RestartPolicy: { Name: "always" } },
    { OpenStdin: true },
  );
  const followed = text(id, { follow: true });
  const soon = (Date.now() / 1000 + 0.3).toFixed(3);
  expect(await text(id, { follow: true, until: soon })).toBe("begun\n");
  await using stream = await client.containers.attach(id, { stdin: true });
  await stream.write(Buffer.from("go\n"));
  expect(await followed).toBe("begun\ndone\n");
  await until(async () => (await text(id)).endsWith("begun\n"), "it began again");
  await client.containers.stop(id, { seconds: 0 });
  expect(await text(id, { follow: true })).toBe("begun\ndone\nbegun\n");
});

test("a container that writes without end grows neither the engine nor the disk, and a reader that is slow holds nobody up", async () => {
  const resident = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
  const id = await run("yes this is a line of some length that is written without end", rotation("2m", "3"));
  const newest = () => Math.max(...logFiles(id).map(({ name }) => Number(/\.(\d+)/.exec(name)?.[1])));
  await until(() => newest() > 4, "the log was rotated");
  const before = resident();
  const controller = new AbortController();
  const { body } = await client.containers.logs(id, { follow: true }, controller.signal);
  const slow = body[Symbol.asyncIterator]();
  await slow.next();
  const at = newest();
  // A hundred megabytes and more are written while the reader takes next to nothing.
  await until(() => newest() > at + 30, "much was written");
  await slow.next();
  expect(resident() - before).toBeLessThan(64 << 20);
  expect(logFiles(id).length).toBeLessThanOrEqual(6);
  controller.abort();
  await client.containers.remove(id, { force: true });
});

test("an engine has a driver and options for containers that ask for none", async () => {
  await using other = await EngineUnderTest.start(
    ...["--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=2"],
  );
  await other.importBusybox();
  const docker = await other.client();
  const info = (await docker.info()) as { LoggingDriver: string; Plugins: { Log: string[] } };
  expect(info.LoggingDriver).toBe("local");
  expect(info.Plugins.Log).toEqual(["fluentd", "gelf", "journald", "json-file", "local", "syslog"]);
  const made = async (LogConfig: HostConfig["LogConfig"]) => {
    const { Id } = await docker.containers.create({
      Image: "busybox",
      HostConfig: { ...(LogConfig !== undefined && { LogConfig }) },
    });
    const { HostConfig: host } = await docker.containers.inspect(Id);
    return host.LogConfig;
  };
  expect(await made(undefined)).toEqual({ Type: "local", Config: { "max-size": "1m", "max-file": "2" } });
  expect(await made({ Type: "local", Config: { "max-size": "3m" } })).toEqual({
    Type: "local",
    Config: { "max-size": "3m", "max-file": "2" },
  });
  expect(await made({ Type: "json-file" })).toEqual({ Type: "json-file", Config: {} });
});
