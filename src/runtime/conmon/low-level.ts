/**
 * The low-level runtime: crun, or runc where crun does not work.
 * Owns: which program that is and how it is called. Never: a container's process; conmon is its parent.
 */
import { execFile } from "node:child_process";
import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CgroupLayout } from "#kernel/cgroups/cgroup.ts";
import { sealProgram } from "#kernel/files/sealed-program.ts";
import { viewWithout } from "#kernel/mounts/mount-namespace.ts";
import { Fault } from "#spec/fault.ts";

export type LowLevelName = "crun" | "runc";

export interface LowLevel extends Disposable {
  readonly name: LowLevelName;
  readonly version: string;
  /** What to run it by, once; disposed when it runs. */
  call(): LowLevelCall;
  /** What to run it by to enter a container that is there: that needs no view of its own. */
  readonly entering: Command;
  /** Where it keeps what it knows of containers. */
  readonly root: string;
}

export interface LowLevelCall extends Disposable {
  /** Its words; arguments follow. */
  readonly command: Command;
}

export type Command = readonly [program: string, ...leading: string[]];

/** A call that takes longer hangs. */
const callTimeoutMs = 60_000;

/**
 * Finds what works here. `execRoot` holds the runtime's state.
 * @throws Fault `unavailable` that names the Debian package when none does.
 */
export async function findLowLevel(execRoot: string, cgroups: CgroupLayout): Promise<LowLevel> {
  const reasons: string[] = [];
  for (const name of ["crun", "runc"] as const) {
    try {
      return await openLowLevel(name, execRoot, cgroups);
    } catch (thrown) {
      reasons.push(`${name}: ${Fault.from(thrown).message.trim()}`);
    }
  }
  throw new Fault(
    "unavailable",
    `no container runtime works here (${reasons.join("; ")}): install Debian's crun or runc`,
  );
}

/** @throws Fault `unavailable` when it is not installed, `internal` with its words when it does not work. */
export async function openLowLevel(
  name: LowLevelName,
  execRoot: string,
  cgroups: CgroupLayout,
): Promise<LowLevel> {
  const path = Bun.which(name);
  if (path === null) throw new Fault("unavailable", `${name} is not there: install Debian's ${name}`);
  const root = stateRoot(execRoot, name);
  await mkdir(root, { recursive: true, mode: 0o700 });
  using stack = new DisposableStack();
  const program = sealed(path, stack);
  const call = name === "crun" ? crunCall(program, cgroups) : () => plainCall([program]);
  const version = await versionOf(call);
  await run({ root, call }, ["list", "-q"]);
  const kept = stack.move();
  return { name, version, root, call, entering: [program], [Symbol.dispose]: () => kept.dispose() };
}

/** Each has its own: neither reads the other's files. */
export function stateRoot(execRoot: string, name: LowLevelName): string {
  return join(execRoot, name === "crun" ? "runtime" : `runtime-${name}`);
}

/**
 * On machines with both versions of cgroups mounted, crun takes the second for the one to use and refuses: it gets a
 * view without it, a new one each time, since what is mounted later may not reach an older one.
 */
function crunCall(program: string, { kind, hierarchies }: CgroupLayout): LowLevel["call"] {
  const unified = hierarchies.get("unified");
  if (kind !== "hybrid" || unified === undefined) return () => plainCall([program]);
  // Static where there is one: no library is looked for at every start.
  const box = Bun.which("busybox");
  const [nsenter, ...leading] = box === null ? ["nsenter"] : [box, "nsenter"];
  return () => {
    const view = viewWithout(unified);
    const command = [nsenter ?? "", ...leading, `-m${view.path}`, program] as const;
    return { command, [Symbol.dispose]: () => view[Symbol.dispose]() };
  };
}

/** Without a view of its own. */
export function plainCall(command: Command): LowLevelCall {
  return { command, [Symbol.dispose]: () => undefined };
}

/** The program as memory that needs no copy of itself made at every start; where that cannot be, as the file it is. */
function sealed(path: string, stack: DisposableStack): string {
  try {
    return stack.use(sealProgram(path)).path;
  } catch {
    return path;
  }
}

async function versionOf(call: LowLevel["call"]): Promise<string> {
  using made = call();
  const text = await output(made.command, ["--version"]);
  return /version[: ]+v?([\w.+~-]+)/.exec(text)?.[1] ?? text.split("\n", 1)[0] ?? "";
}

const logName = "log";

/** Has the runtime say in a file why it fails: what it writes to stderr may be the process's own, or a terminal's. */
export function logArg(directory: string): string {
  return `--log=${join(directory, logName)}`;
}

/** What it said there. */
export async function runtimeSaid(directory: string): Promise<string> {
  return await readFile(join(directory, logName), "utf8").catch(() => "");
}

/** Runs one command. @throws Fault `internal` with what the program said. */
export async function run(
  runtime: Pick<LowLevel, "call" | "root">,
  args: readonly string[],
): Promise<string> {
  using call = runtime.call();
  return await output(call.command, ["--root", runtime.root, ...args]);
}

/**
 * Lets a created container's process run. crun's waits for a byte in a pipe beside its state: writing that saves a child
 * process on every start. Where the pipe is not as expected, or `hooks` are to be run behind it, crun itself does it.
 */
export async function startCreated(
  runtime: LowLevel,
  id: string,
  o: { readonly hooks: boolean },
): Promise<void> {
  if (runtime.name === "crun" && !o.hooks && wroteStartByte(join(runtime.root, id, "exec.fifo"))) return;
  await run(runtime, ["start", id]);
}

/**
 * False when nobody waits there. The pipe's absence is how crun tells a running container from a created one.
 * Nothing here can wait, and a way through the thread pool for each call takes longer than all of them.
 */
function wroteStartByte(path: string): boolean {
  let pipe: number;
  try {
    pipe = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENXIO"))
      return false;
    throw error;
  }
  try {
    unlinkSync(path);
    writeSync(pipe, "0");
    return true;
  } finally {
    closeSync(pipe);
  }
}

/** The first line conmon says about itself. @throws Fault `unavailable`. */
export async function conmonVersion(): Promise<string> {
  try {
    const text = await output(["conmon"], ["--version"]);
    return /version ([\w.+~-]+)/.exec(text)?.[1] ?? "";
  } catch (cause) {
    throw new Fault("unavailable", "conmon does not work here: install Debian's conmon", { cause });
  }
}

function output(command: Command, args: readonly string[]): Promise<string> {
  const [program, ...leading] = command;
  return new Promise((resolve, reject) => {
    execFile(program, [...leading, ...args], { timeout: callTimeoutMs }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Fault("internal", firstLine(stderr) || error.message, { cause: error }));
    });
  });
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
