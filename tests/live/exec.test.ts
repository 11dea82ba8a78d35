/** Execs through the API: what inspect, events and refusals say, terminals, clients that misbehave, an engine that dies. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import type { ExecBody } from "#client/containers.ts";
import { allPids, commandLine } from "#kernel/process.ts";
import { Fault } from "#spec/fault.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
let box: string;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
  box = await runningBox("box");
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function runningBox(name: string, host = {}): Promise<string> {
  const { Id } = await client.containers.create(
    { Image: "busybox", Cmd: ["sleep", "600"], HostConfig: host },
    { name },
  );
  await client.containers.start(Id);
  return Id;
}

const all = { AttachStdout: true, AttachStderr: true } as const;

async function run(cmd: string[], more: Partial<ExecBody> = {}, container = box) {
  const id = await client.containers.createExec(container, { Cmd: cmd, ...all, ...more });
  const tty = more.Tty === true;
  await using stream = await client.containers.startExec(id, { tty });
  stream.end();
  const decoder = new FrameDecoder();
  const text = { stdout: "", stderr: "" };
  for await (const bytes of stream.output) {
    if (tty) text.stdout += Buffer.from(bytes).toString();
    else for (const frame of decoder.push(bytes)) text[frame.stream] += Buffer.from(frame.bytes).toString();
  }
  return { id, ...text, code: (await client.containers.inspectExec(id)).ExitCode };
}

async function refusal(work: Promise<unknown>): Promise<[unknown, string]> {
  const fault = Fault.from(
    await work.then(
      () => new Error("it was not refused"),
      (thrown: unknown) => thrown,
    ),
  );
  return [fault.detail["status"], fault.message];
}

/** A hijacked start, as bytes. */
async function rawStart(id: string, body = "{}"): Promise<Socket> {
  const socket = connect({ path: engine.host.slice("unix://".length), allowHalfOpen: true });
  const head = `POST /exec/${id}/start HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(head + body);
  return socket;
}

const directory = (container: string) => join(engine.directory, "exec/runs", container, "execs");
/** What is left of a container's execs: directories, and processes called with them. */
function leftovers(container: string): string[] {
  const path = directory(container);
  const names = existsSync(path) ? readdirSync(path) : [];
  const keepers = allPids().filter((pid) => commandLine(pid).includes(path));
  return [...names, ...keepers.map(String)];
}

describe("what an exec is", () => {
  test("inspect has every field, before, while and after", async () => {
    const cmd = ["sh", "-c", "read line; exit 3"];
    const body = { Cmd: cmd, AttachStdin: true, AttachStdout: true, User: "web", Privileged: true };
    const id = await client.containers.createExec(box, { ...body, DetachKeys: "ctrl-a,x" });
    const fresh = {
      ID: id,
      Running: false,
      ExitCode: null,
      ProcessConfig: { tty: false, entrypoint: "sh", arguments: cmd.slice(1), privileged: true, user: "web" },
      OpenStdin: true,
      OpenStderr: false,
      OpenStdout: true,
      CanRemove: false,
      ContainerID: box,
      DetachKeys: "AXg=",
      Pid: 0,
    };
    expect(await client.containers.inspectExec(id)).toEqual(fresh);
    await using stream = await client.containers.startExec(id, { tty: false });
    await until(async () => (await client.containers.inspectExec(id)).Running);
    const { Pid } = await client.containers.inspectExec(id);
    await until(() => commandLine(Pid).includes("read line"));
    expect((await client.containers.inspect(box)).ExecIDs).toEqual([id]);
    await stream.write(Buffer.from("go\n"));
    for await (const _ of stream.output);
    expect(await client.containers.inspectExec(id)).toEqual({ ...fresh, ExitCode: 3, Pid });
    expect((await client.containers.inspect(box)).ExecIDs).toBeNull();
  });

  test("environment, user, groups, directory, privileges", async () => {
    const script = "echo $A $HOME; id; pwd; grep CapEff /proc/self/status";
    const plain = await run(["sh", "-c", script], { Env: ["A=b c"], User: "1000:7", WorkingDir: "/tmp" });
    expect(plain.stdout).toBe("b c /\nuid=1000 gid=7 groups=7\n/tmp\nCapEff:\t0000000000000000\n");
    const mighty = await run(["sh", "-c", script], { Privileged: true });
    expect(mighty.stdout).toContain("uid=0(root)");
    const [, effective = ""] = /CapEff:\t([0-9a-f]+)/.exec(mighty.stdout) ?? [];
    expect(BigInt(`0x${effective}`) & (1n << 21n)).toBe(1n << 21n);
    const named = await run(["id"], { User: "web:www" });
    expect(named.stdout).toStartWith("uid=33(web) gid=44(www)");
  });

  test("a terminal: its size at once, its change, the right mode", async () => {
    const id = await client.containers.createExec(box, {
      ...{
        Cmd: ["sh", "-c", "while ! stty size 2>/dev/null; do sleep 0.01; done; read x; stty size"],
        AttachStdin: true,
        ...all,
      },
      ...{ Tty: true, ConsoleSize: [11, 22] },
    });
    // Asked for before there is a terminal, a size waits for it.
    const early = client.containers.resizeExec(id, { height: 12, width: 23 });
    await using stream = await client.containers.startExec(id, { tty: true, size: [33, 44] });
    await early;
    let text = "";
    const reading = (async () => {
      for await (const bytes of stream.output) text += Buffer.from(bytes).toString();
    })();
    await until(() => text.includes("\r\n"));
    await client.containers.resizeExec(id, { height: 55, width: 66 });
    await stream.write(Buffer.from("go\n"));
    await reading;
    expect(text).toMatch(/^(33 44|12 23)\r\ngo\r\n55 66\r\n$/);
    expect(await refusal(client.containers.resizeExec(id, { height: 1, width: 1 }))).toEqual([
      404,
      `process does not exist ${id}: not found`,
    ]);
  });

  test("the keys to detach leave it running, and are told", async () => {
    const keyed = { Tty: true, DetachKeys: "ctrl-a,x" };
    const id = await client.containers.createExec(box, {
      Cmd: ["sleep", "60"],
      AttachStdin: true,
      ...all,
      ...keyed,
    });
    const since = Math.floor(Date.now() / 1000) - 1;
    await using stream = await client.containers.startExec(id, { tty: true });
    await until(async () => (await client.containers.inspectExec(id)).Running);
    await stream.write(Uint8Array.of(1, 0x78));
    for await (const _ of stream.output);
    expect((await client.containers.inspectExec(id)).Running).toBe(true);
    await client.containers.killExec(id, "KILL");
    await until(async () => (await client.containers.inspectExec(id)).ExitCode === 137);
    const told = await actions(since, id);
    expect(told).toEqual(["exec_create: sleep 60", "exec_start: sleep 60", "exec_detach", "exec_die"]);
  });

  test("detached, it answers once it runs", async () => {
    const id = await client.containers.createExec(box, { Cmd: ["sh", "-c", "sleep 0.1; exit 6"] });
    await client.containers.startExecDetached(id);
    await until(async () => (await client.containers.inspectExec(id)).ExitCode === 6);
  });

  async function actions(since: number, id: string): Promise<string[]> {
    const seen: string[] = [];
    const until = Math.ceil(Date.now() / 1000);
    const filters = { container: [box] };
    for await (const event of client.events({ since: String(since), until: String(until), filters }))
      if (event.Actor.Attributes?.["execID"] === id) seen.push(event.Action);
    return seen;
  }
});

describe("what is refused", () => {
  const frame = "OCI runtime exec failed: exec failed: unable to start container process";

  test("a second start, an unknown exec, bad keys, no command", async () => {
    const { id } = await run(["true"]);
    const again = `Error: Exec command ${id} has already run`;
    expect(await refusal(client.containers.startExecDetached(id))).toEqual([409, again]);
    expect(await refusal(client.containers.startExec(id, { tty: false }))).toEqual([409, again]);
    const running = await client.containers.createExec(box, { Cmd: ["sleep", "60"] });
    await client.containers.startExecDetached(running);
    expect(await refusal(client.containers.startExecDetached(running))).toEqual([
      409,
      `Error: Exec command ${running} is already running`,
    ]);
    await client.containers.killExec(running, "SIGKILL");
    await until(async () => !(await client.containers.inspectExec(running)).Running);
    expect(await refusal(client.containers.killExec(running, "KILL"))).toEqual([
      409,
      `exec ${running} is not running`,
    ]);
    expect(await refusal(client.containers.inspectExec("nosuch"))).toEqual([
      404,
      "No such exec instance: nosuch",
    ]);
    expect(await refusal(client.containers.startExecDetached("nosuch"))).toEqual([
      404,
      "No such exec instance: nosuch",
    ]);
    expect(
      await refusal(client.containers.createExec(box, { Cmd: ["true"], DetachKeys: "ctrl-foo" })),
    ).toEqual([400, "Invalid escape keys (ctrl-foo) provided"]);
    expect(await refusal(client.containers.createExec(box, { Cmd: [] }))).toEqual([
      400,
      "No exec command specified",
    ]);
    expect(await refusal(client.containers.createExec(box, { Cmd: ["echo", "a\0b"] }))).toEqual([
      400,
      'invalid exec: a NUL byte in "a\\u0000b"',
    ]);
    expect(await refusal(client.containers.killExec(id, "SIGNO"))).toEqual([400, "invalid signal: SIGNO"]);
  });

  test("a command that cannot run: its text in the stream, its code in inspect, or a 400 when detached", async () => {
    const text = `${frame}: exec: "nosuch": executable file not found in $PATH: unknown`;
    expect(await run(["nosuch"])).toMatchObject({ stdout: `${text}\r\n`, code: 127 });
    const id = await client.containers.createExec(box, { Cmd: ["nosuch"] });
    expect(await refusal(client.containers.startExecDetached(id))).toEqual([400, text]);
    expect(await client.containers.inspectExec(id)).toMatchObject({ Running: false, ExitCode: 127 });
    const directory = await run(["true"], { WorkingDir: "/nosuch", Tty: true });
    expect(directory.stdout).toContain(
      'chdir to cwd ("/nosuch") set in config.json failed: no such file or directory',
    );
    expect(directory.code).toBe(126);
  });

  test("in a container that is paused, stopped or restarting", async () => {
    const id = await runningBox("still");
    const ready = await client.containers.createExec(id, { Cmd: ["true"] });
    await client.containers.pause(id);
    const paused = (name: string): [unknown, string] => [
      409,
      `Container ${name} is paused, unpause the container before exec`,
    ];
    expect(await refusal(client.containers.createExec("still", { Cmd: ["true"] }))).toEqual(paused("still"));
    expect(await refusal(client.containers.startExec(ready, { tty: false }))).toEqual(paused(id));
    await client.containers.unpause(id);
    await client.containers.kill(id, "SIGKILL");
    await until(async () => !(await client.containers.inspect(id)).State.Running);
    const stopped: [unknown, string] = [409, `container ${id} is not running`];
    expect(await refusal(client.containers.createExec(id, { Cmd: ["true"] }))).toEqual(stopped);
    expect(await refusal(client.containers.startExecDetached(ready))).toEqual(stopped);
    await client.containers.remove(id, { force: true });
    const { Id } = await client.containers.create({
      ...{ Image: "busybox", Cmd: ["false"] },
      HostConfig: { RestartPolicy: { Name: "always" } },
    });
    await client.containers.start(Id);
    await until(async () => (await client.containers.inspect(Id)).State.Restarting);
    await until(async () => {
      const [, words] = await refusal(client.containers.createExec(Id, { Cmd: ["true"] }));
      return words === `Container ${Id} is restarting, wait until the container is running`;
    });
    await client.containers.remove(Id, { force: true });
  });
});

describe("clients that misbehave", () => {
  test("one that never reads holds up its exec, not the engine; the exec is found and killed", async () => {
    const id = await client.containers.createExec(box, {
      Cmd: ["sh", "-c", "cat /dev/zero & cat /dev/zero"],
      ...all,
    });
    const socket = await rawStart(id);
    socket.pause();
    await until(async () => (await client.containers.inspectExec(id)).Running);
    const memory = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/status`, "latin1"))?.[1]);
    await Bun.sleep(200);
    const before = memory();
    await Bun.sleep(500);
    expect(memory() - before).toBeLessThan(16 << 10);
    expect((await run(["echo", "well"])).stdout).toBe("well\n");
    socket.destroy();
    expect((await client.containers.inspect(box)).ExecIDs).toEqual([id]);
    await client.containers.killExec(id, "KILL");
    await until(async () => (await client.containers.inspectExec(id)).ExitCode === 137);
    await until(() => leftovers(box).length === 0);
  });

  test("one that goes away leaves its exec running to its end", async () => {
    const id = await client.containers.createExec(box, {
      Cmd: ["sh", "-c", "echo here; sleep 0.2; echo x; exit 5"],
      ...all,
    });
    const socket = await rawStart(id);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.destroy();
    await until(async () => (await client.containers.inspectExec(id)).ExitCode === 5);
    await until(() => leftovers(box).length === 0);
  });

  test("200 execs, attached, detached and left, leave no descriptor and no file", async () => {
    const descriptors = () => readdirSync(`/proc/${engine.pid}/fd`).length;
    const cycle = async (round: number) => {
      if (round % 4 === 0) {
        const id = await client.containers.createExec(box, {
          Cmd: ["sleep", "0.05"],
          ...all,
          AttachStdin: true,
        });
        (await rawStart(id)).destroy();
      } else if (round % 4 === 1) {
        const id = await client.containers.createExec(box, { Cmd: ["true"] });
        await client.containers.startExecDetached(id);
      } else await run(["echo", "x"], { Tty: round % 20 === 2 });
    };
    for (let round = 0; round < 20; round++) await cycle(round);
    await until(
      async () => (await client.containers.inspect(box)).ExecIDs === null && leftovers(box).length === 0,
    );
    const before = descriptors();
    for (let round = 0; round < 200; round += 4)
      await Promise.all([0, 1, 2, 3].map(async (each) => await cycle(round + each)));
    await until(
      async () => (await client.containers.inspect(box)).ExecIDs === null && leftovers(box).length === 0,
    );
    await until(() => descriptors() <= before + 4);
  }, 60_000);
});

test("execs go on without the engine, are found again, and end without a trace", async () => {
  const start = async (cmd: string[], more: Partial<ExecBody> = {}) => {
    const id = await client.containers.createExec(box, { Cmd: cmd, ...all, ...more });
    const socket = await rawStart(id, JSON.stringify({ Tty: more.Tty === true }));
    await until(async () => (await client.containers.inspectExec(id)).Running);
    return { id, socket };
  };
  const writing = await start(["sh", "-c", "cat /dev/zero & while :; do echo x; done"]);
  const terminal = await start(["sleep", "61"], { Tty: true });
  const short = await start(["sh", "-c", "sleep 0.3; touch /tmp/went-on"]);
  const silent = await client.containers.createExec(box, { Cmd: ["sleep", "62"] });
  await client.containers.startExecDetached(silent);
  const before = await Promise.all(
    [writing.id, terminal.id, silent].map((id) => client.containers.inspectExec(id)),
  );
  await engine.stop("SIGKILL");
  await Bun.sleep(500);
  await engine.start();
  client = await engine.client();
  const after = await Promise.all(
    [writing.id, terminal.id, silent].map((id) => client.containers.inspectExec(id)),
  );
  expect(after).toEqual(before);
  expect(new Set((await client.containers.inspect(box)).ExecIDs)).toEqual(
    new Set([writing.id, terminal.id, silent]),
  );
  expect((await run(["ls", "/tmp/went-on"])).code).toBe(0);
  expect(await refusal(client.containers.inspectExec(short.id))).toEqual([
    404,
    `No such exec instance: ${short.id}`,
  ]);
  for (const id of [writing.id, terminal.id, silent]) await client.containers.killExec(id, "SIGKILL");
  await until(async () => (await client.containers.inspect(box)).ExecIDs === null);
  await until(() => leftovers(box).length === 0);
  expect((await run(["ps"])).stdout).not.toContain("cat /dev/zero");
});

test.skipIf(dockerCli === null)(
  "the docker CLI sees Docker's texts and codes; wherry ends an exec by its id",
  async () => {
    const docker = async (...args: string[]) => await engine.cli("docker", args);
    const missing = await docker("exec", "box", "nosuch");
    expect(missing.code).toBe(127);
    expect(missing.stdout + missing.stderr).toContain(
      'exec: "nosuch": executable file not found in $PATH: unknown',
    );
    expect((await docker("exec", "box", "/etc")).code).toBe(126);
    expect((await docker("exec", "-w", "rel", "box", "pwd")).code).toBe(126);
    expect((await docker("exec", "box", "sh", "-c", "kill -9 $$")).code).toBe(137);
    const detached = await docker("exec", "-d", "box", "nosuch");
    expect([detached.code, detached.stderr]).toEqual([
      1,
      `Error response from daemon: ${missing.stdout.trim()}\n`,
    ]);
    expect((await docker("exec", "-d", "box", "sleep", "63")).code).toBe(0);
    const [id = ""] = (await client.containers.inspect(box)).ExecIDs ?? [];
    expect(await engine.cli("wherry", ["exec-kill", id])).toEqual({ code: 0, stdout: `${id}\n`, stderr: "" });
    await until(async () => (await client.containers.inspect(box)).ExecIDs === null);
    const file = join(engine.directory, "environment");
    writeFileSync(file, "# a comment\nFROM_FILE=1\nBOTH=file\n");
    const own = [
      "exec",
      "--env-file",
      file,
      "-e",
      "BOTH=flag",
      "box",
      "sh",
      "-c",
      "echo $FROM_FILE $BOTH; exit 4",
    ];
    expect(await engine.cli("wherry", own)).toEqual({ code: 4, stdout: "1 flag\n", stderr: "" });
    const input = "z".repeat(400_000);
    expect((await engine.cli("docker", ["exec", "-i", "box", "cat"], { input })).stdout).toBe(input);
  },
);

test.skipIf(Bun.which("script") === null)(
  "wherry shows a terminal's bytes as they are, and passes its exit code on",
  async () => {
    const wherry = join(import.meta.dir, "../../bin/wherry");
    const line = `${wherry} exec -it box sh -c 'echo a; echo b; exit 5'`;
    const { code, stdout } = await engine.cli("script", ["-qec", line, "/dev/null"]);
    // The terminal echoes the end of script's own input, sooner or later.
    expect([code, stdout.replaceAll("^@", "")]).toEqual([5, "a\r\nb\r\n"]);
  },
);
