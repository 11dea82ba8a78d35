/**
 * What using an engine costs, as medians; with `--peer unix://…` each figure in turn with another engine's, and the ratio
 * of their times, pair by pair. A table to read, not a test: machines differ and so do moments.
 *   npm run bench -- [--peer unix:///… [--peer-netns PATH]] [--runs 15] [--only NAME]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EngineUnderTest } from "../live/engine-under-test.ts";
import { registryProgram } from "../live/registry-under-test.ts";
import { copyFigures } from "./copy-figures.ts";
import { archiveFigures, registryFigures } from "./image-figures.ts";
import { type Figure, heading, image, measure, openSides, removeImages, type Side } from "./in-turn.ts";

import { volumeFigures } from "./volume-figures.ts";

const { values } = parseArgs({
  options: {
    peer: { type: "string" },
    /** The peer's network namespace: pull and push are measured too, with a registry in it. */
    "peer-netns": { type: "string" },
    runs: { type: "string", default: "15" },
    only: { type: "string" },
  },
});
const runs = Number(values.runs);

const logMebibytes = 64;

const ownProgram = join(import.meta.dir, "../../bin/wherry");

async function cli(side: Side, ...args: string[]): Promise<void> {
  await runProgram(Bun.which("docker") === null ? ownProgram : "docker", side, args);
}

/** What a shell asks at a tab: wherry's own program, and for a peer docker's. */
async function complete(side: Side, ...words: string[]): Promise<void> {
  await runProgram(side.name === "wherry" ? ownProgram : "docker", side, ["__complete", ...words]);
}

async function runProgram(program: string, side: Side, args: readonly string[]): Promise<void> {
  const env = { ...process.env, DOCKER_HOST: side.host, WHERRY_HOST: side.host, DOCKER_BUILDKIT: "0" };
  const child = spawn(program, args, { env, stdio: "ignore" });
  const [code] = (await once(child, "exit")) as [number];
  if (code !== 0) throw new Error(`${args.join(" ")} on ${side.name}: exit ${code}`);
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<number> {
  let total = 0;
  for await (const part of body) total += part.length;
  return total;
}

async function create(side: Side, cmd: string[], host = {}): Promise<string> {
  const { Id } = await side.client.containers.create({ Image: image, Cmd: cmd, HostConfig: host });
  return Id;
}

async function started(side: Side, cmd = ["sleep", "600"]): Promise<string> {
  const id = await create(side, cmd);
  await side.client.containers.start(id);
  return id;
}

const remove = async (side: Side, id: string) => await side.client.containers.remove(id, { force: true });

/** Ids of so many, a few made at a time. */
async function many(side: Side, count: number, make: (side: Side) => Promise<string>): Promise<string> {
  const ids: string[] = [];
  const worker = async (): Promise<void> => {
    while (ids.length < count) {
      const at = ids.push("") - 1;
      ids[at] = await make(side);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return ids.join(" ");
}

async function removeAll(side: Side, ids: string): Promise<void> {
  for (const id of ids.split(" ")) await remove(side, id);
}

async function exec(side: Side, id: string): Promise<void> {
  const execId = await side.client.containers.createExec(id, { Cmd: ["true"], AttachStdout: true });
  await using stream = await side.client.containers.startExec(execId, { tty: false });
  for await (const _ of stream.output);
}

async function wroteLog(side: Side): Promise<string> {
  const id = await create(side, ["sh", "-c", `yes ${"x".repeat(99)} | head -c ${logMebibytes << 20}`]);
  const { exit } = await side.client.containers.wait(id, "next-exit");
  await side.client.containers.start(id);
  await exit;
  return id;
}

async function build(side: Side, tag: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "wherry-bench-"));
  try {
    writeFileSync(
      join(directory, "Dockerfile"),
      `FROM ${image}\nENV N=${tag}\nCOPY file /\nRUN echo $N > /made\nCMD ["true"]\n`,
    );
    writeFileSync(join(directory, "file"), tag);
    await cli(side, "build", "-q", "-t", "wherry-bench:built", directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** By side, what a run made. */
const created = new Map<string, string>();

const figures: readonly Figure[] = [
  { name: "run --rm, bridge (CLI)", run: async (side) => await cli(side, "run", "--rm", image, "true") },
  {
    name: "run --rm, no network (CLI)",
    run: async (side) => await cli(side, "run", "--rm", "--network", "none", image, "true"),
  },
  {
    name: "exec (CLI)",
    prepare: started,
    run: async (side, id) => await cli(side, "exec", id, "true"),
    finish: remove,
  },
  { name: "exec (API)", prepare: started, run: exec, finish: remove },
  {
    name: "completion (each CLI's own)",
    prepare: async (side) => await started(side),
    run: async (side) => await complete(side, "stop", ""),
    finish: remove,
  },
  {
    name: "start, bridge (API)",
    before: async (side) => await create(side, ["sleep", "600"]),
    run: async (side, id) => await side.client.containers.start(id),
    after: remove,
  },
  {
    name: "kill, wait, remove (API)",
    before: async (side) => await started(side),
    run: async (side, id) => {
      const { exit } = await side.client.containers.wait(id, "not-running");
      await side.client.containers.kill(id, "KILL");
      await exit;
      await remove(side, id);
    },
  },
  {
    name: "create (API)",
    before: async () => "",
    run: async (side) => created.set(side.name, await create(side, ["true"])),
    after: async (side) => await remove(side, created.get(side.name) ?? ""),
  },
  { name: "create and remove", run: async (side) => await remove(side, await create(side, ["true"])) },
  {
    name: "start, stop (SIGKILL), remove",
    run: async (side) => await remove(side, await started(side)),
  },
  { name: "build, three steps (CLI)", run: async (side) => await build(side, crypto.randomUUID()) },
  {
    name: `write ${logMebibytes} MiB of log`,
    runs: 3,
    run: async (side) => await remove(side, await wroteLog(side)),
  },
  {
    name: `read ${logMebibytes} MiB of log`,
    runs: 5,
    prepare: wroteLog,
    run: async (side, id) => {
      const { body } = await side.client.containers.logs(id, {});
      if ((await drain(body)) < logMebibytes << 20) throw new Error(`${side.name} lost a part of the log`);
    },
    finish: remove,
  },
  {
    name: "list, 50 running (API)",
    prepare: async (side) => await many(side, 50, started),
    run: async (side) => await side.client.containers.list(),
    finish: removeAll,
  },
  {
    name: "ps, 50 running (CLI)",
    prepare: async (side) => await many(side, 50, started),
    run: async (side) => await cli(side, "ps"),
    finish: removeAll,
  },
  {
    name: "list, 500 that never ran (API)",
    prepare: async (side) => await many(side, 500, async () => await create(side, ["true"])),
    run: async (side) => await side.client.containers.list({ all: true }),
    finish: removeAll,
  },
  {
    name: "50 containers at once",
    // dockerd 26 takes two minutes for one round.
    runs: 2,
    cold: true,
    run: async (side) => {
      const ids = await Promise.all(Array.from({ length: 50 }, async () => await started(side)));
      await Promise.all(ids.map(async (id) => await remove(side, id)));
    },
  },
];

/** Resident memory in MiB, of the engine alone. */
function residentMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}

await using engine = await EngineUnderTest.start();
const sides = await openSides(engine, values.peer);
const idleBefore = residentMebibytes(engine.pid);
heading(sides);
const scratch = mkdtempSync(join(tmpdir(), "wherry-bench-images-"));
const networks = { wherry: engine.netns, ...(values["peer-netns"] && { peer: values["peer-netns"] }) };
const withRegistry = registryProgram !== null && sides.every(({ name }) => name in networks);
const all: readonly Figure[] = [
  ...figures,
  ...copyFigures({ directory: scratch, image, cli }),
  ...volumeFigures(image),
  ...archiveFigures(scratch),
  ...(withRegistry ? registryFigures(scratch, networks) : []),
];
for (const figure of all)
  if (values.only === undefined || figure.name.includes(values.only)) await measure(figure, sides, runs);
process.stdout.write(
  `\nengine's resident memory: ${idleBefore.toFixed(0)} MiB before, ${residentMebibytes(engine.pid).toFixed(0)} MiB after\n`,
);
rmSync(scratch, { recursive: true, force: true });
await removeImages(sides);
