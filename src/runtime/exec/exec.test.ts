import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { allPids, commandLine } from "#kernel/process.ts";
import type { ExecRequest } from "#runtime/runtime.ts";
import { RuntimeFixture } from "#runtime/runtime-fixture.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { until } from "#spec/until-fixture.ts";
import type { RunningExec } from "./running-exec.ts";

let fixture: RuntimeFixture;
const { signal } = new AbortController();
beforeAll(async () => {
  fixture = await RuntimeFixture.open();
});
afterAll(async () => await fixture[Symbol.asyncDispose]());

async function started(host: object): Promise<ContainerRecord> {
  const record = fixture.record({ Cmd: ["/bin/sh", "-c", "sleep 600"], Env: ["A=1"] }, host);
  await fixture.runtime.create(fixture.request(record), { signal });
  await fixture.runtime.start(record.id);
  return record;
}

function request(script: string, more: Partial<ExecRequest> = {}): ExecRequest {
  const streams = { stdin: false, stdout: true, stderr: true };
  const who = { env: [], user: "", cwd: "", tty: false, privileged: false };
  return { args: ["/bin/sh", "-c", script], ...who, ...streams, ...more };
}

function newId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  return Fault.from(
    await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
}

const kinds: readonly [string, object][] = [
  ["on pipes", {}],
  ["under conmon", { PidMode: "host" }],
];

describe.each(kinds)("an exec %s", (kind, host) => {
  let record: ContainerRecord;
  beforeAll(async () => {
    record = await started(host);
  });
  afterAll(async () => await fixture.runtime.delete(record.id));

  const start = async (o: ExecRequest, execId = newId()) =>
    await fixture.runtime.exec(record, execId, o, { signal });
  const directory = (execId = "") => `${fixture.directory}/exec/runs/${record.id}/execs/${execId}`;

  async function textOf(session: RunningExec): Promise<{ stdout: string; stderr: string }> {
    const text = { stdout: "", stderr: "" };
    for await (const { stream, bytes } of session.output) text[stream] += Buffer.from(bytes).toString();
    return text;
  }

  async function run(o: ExecRequest, input?: Uint8Array) {
    const session = await start(o);
    const fed = async () => {
      if (input !== undefined) await session.input?.write(input);
      await session.input?.end();
    };
    const feeding = fed();
    const text = await textOf(session);
    await feeding;
    return { ...text, exitCode: await session.exit };
  }

  const having = (word: string) => allPids().filter((pid) => commandLine(pid).split("\0").includes(word));
  /** The container's processes with this word among their own. */
  const inside = (word: string) =>
    having(word).filter((pid) => {
      const path = `/proc/${pid}/cgroup`;
      return existsSync(path) && readFileSync(path, "latin1").includes(record.id);
    });

  test("has streams, an exit code and a place of its own, and leaves nothing", async () => {
    const script = "echo $A $B; echo e >&2; pwd; id -u; exit 3";
    const seen = await run(request(script, { env: ["B=2"], cwd: "/tmp", user: "web" }));
    expect(seen).toEqual({ stdout: "1 2\n/tmp\n33\n", stderr: "e\n", exitCode: 3 });
    await until(() => readdirSync(directory()).length === 0);
  });

  test("gets its input, half-closed, and much of it comes back as it was", async () => {
    const input = Buffer.alloc(3_000_000, Buffer.from([0, 255, 10, 13, 128, 7]));
    const session = await start(request("cat", { stdin: true }));
    const feeding = session.input?.write(input).then(async () => await session.input?.end());
    const parts: Uint8Array[] = [];
    for await (const { bytes } of session.output) parts.push(bytes);
    await feeding;
    expect(Buffer.concat(parts).equals(input)).toBe(true);
    expect(await session.exit).toBe(0);
  });

  test("may leave its input unread", async () => {
    const { exitCode } = await run(request("exit 5", { stdin: true }), Buffer.alloc(1_000_000));
    expect(exitCode).toBe(5);
  });

  test("can open what it was given by name", async () => {
    const { stdout, stderr } = await run(request("echo o > /dev/stdout; echo e > /dev/stderr"));
    expect({ stdout, stderr }).toEqual({ stdout: "o\n", stderr: "e\n" });
  });

  test("gives only the streams that are wanted", async () => {
    const script = "echo out; echo err >&2";
    const { stdout } = await run(request(script, { stderr: false }));
    if (kind === "on pipes") expect(stdout).toBe("out\n");
    expect((await run(request("exit 6", { stdout: false, stderr: false }))).exitCode).toBe(6);
  });

  const frame = "OCI runtime exec failed: exec failed: unable to start container process";
  const failures: [string, Partial<ExecRequest>, number, string][] = [
    [
      "is not there",
      { args: ["nosuch"] },
      127,
      `${frame}: exec: "nosuch": executable file not found in $PATH`,
    ],
    ["is no program", { args: ["/bin/notes"] }, 126, `${frame}: exec: "/bin/notes": permission denied`],
    ["is a directory", { args: ["/etc"] }, 126, `${frame}: exec: "/etc": permission denied`],
    [
      "has no directory",
      { cwd: "/gone" },
      126,
      `${frame}: chdir to cwd ("/gone") set in config.json failed: `,
    ],
    [
      "has half a directory",
      { cwd: "a" },
      126,
      "OCI runtime exec failed: exec failed: Cwd must be an absolute",
    ],
    [
      "is of nobody",
      { user: "nobody" },
      126,
      "unable to find user nobody: no matching entries in passwd file",
    ],
  ];
  test.each(failures)(
    "of what %s is refused as Docker does, and leaves nothing",
    async (_, o, code, words) => {
      const execId = newId();
      const fault = await faultOf(start(request("true", o), execId));
      expect(fault.message).toStartWith(words);
      expect(fault.detail["exitCode"] ?? 126).toBe(code);
      expect(existsSync(directory(execId))).toBe(false);
      await until(() => having(directory(execId)).length === 0);
    },
  );

  test("whose output nobody reads waits, in bounded memory; let go of, it goes on", async () => {
    const session = await start(request("head -c 30000000 /dev/zero; exit 4"));
    const output = session.output[Symbol.asyncIterator]();
    await output.next();
    const before = process.memoryUsage.rss();
    await Bun.sleep(300);
    expect(process.memoryUsage.rss() - before).toBeLessThan(16 << 20);
    expect(await Promise.race([session.exit, Bun.sleep(1).then(() => "waits")])).toBe("waits");
    await session[Symbol.asyncDispose]();
    expect(await session.exit).toBe(4);
  });

  test("that left something running ends without it, with all it wrote itself", async () => {
    const session = await start(request("sleep 4321 & head -c 200000 /dev/zero; exit 7"));
    expect((await textOf(session)).stdout.length).toBe(200_000);
    expect(await session.exit).toBe(7);
    for (const pid of inside("4321")) process.kill(pid, "SIGKILL");
  });

  test("that left something writing without end ends all the same", async () => {
    const session = await start(request("cat /dev/zero & sleep 0.1; exit 8"));
    for await (const _ of session.output);
    expect(await session.exit).toBe(8);
    await Promise.all(inside("/dev/zero").map(async (pid) => process.kill(pid, "SIGKILL")));
  });

  test("is killed with what it started, read or not", async () => {
    const script = "sleep 5001 & sh -c 'sleep 5002; :' & cat /dev/zero";
    const session = await start(request(script));
    await until(() => inside("5001").length > 0 && inside("5002").length > 0);
    await session.kill(9);
    expect(await session.exit).toBe(137);
    await until(() => inside("5001").length + inside("5002").length === 0);
    for await (const _ of session.output);
    await until(() => readdirSync(directory()).length === 0);
  });

  test("gets any signal", async () => {
    const session = await start(request("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"));
    const output = session.output[Symbol.asyncIterator]();
    await output.next();
    await session.kill(15);
    expect(await session.exit).toBe(9);
  });
});

test("a terminal has its size, at the latest a moment after its process began", async () => {
  const record = await started({});
  const session = await fixture.runtime.exec(
    record,
    newId(),
    request("while ! stty size 2>/dev/null; do sleep 0.01; done", {
      tty: true,
      consoleSize: { height: 5, width: 6 },
    }),
    { signal },
  );
  let text = "";
  for await (const { bytes } of session.output) text += Buffer.from(bytes).toString();
  expect(text).toBe("5 6\r\n");
  const missing = fixture.runtime.exec(record, newId(), request("", { tty: true, args: ["nosuch"] }), {
    signal,
  });
  expect((await faultOf(missing)).message).toContain("executable file not found in $PATH");
  await fixture.runtime.delete(record.id);
});

test("an exec that is stuck with output nobody reads does not keep its container from going", async () => {
  for (const [, host] of kinds) {
    const record = await started(host);
    const session = await fixture.runtime.exec(record, newId(), request("cat /dev/zero"), { signal });
    await Bun.sleep(50);
    await fixture.runtime.delete(record.id);
    expect(await session.exit).toBe(137);
    expect(existsSync(`${fixture.directory}/exec/runs/${record.id}`)).toBe(false);
  }
});
