/**
 * The low-level runtime: crun, or runc where crun does not work.
 * Owns: which program that is and how it is called. Never: a container's process; conmon is its parent.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { chmod, mkdir, open, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CgroupLayout } from "#kernel/cgroup.ts";
import { Fault } from "#spec/fault.ts";

export interface LowLevel {
  readonly name: "crun" | "runc";
  readonly version: string;
  /** The program, or the script around it. */
  readonly program: string;
  /** Where it keeps what it knows of containers. */
  readonly root: string;
}

/** A call that takes longer hangs. */
const callTimeoutMs = 60_000;

/**
 * Finds what works here. `execRoot` holds the runtime's state.
 * @throws Fault `unavailable` that names the Debian package when none does.
 */
export async function findLowLevel(execRoot: string, cgroups: CgroupLayout): Promise<LowLevel> {
  const root = join(execRoot, "runtime");
  await mkdir(root, { recursive: true, mode: 0o700 });
  const reasons: string[] = [];
  for (const name of ["crun", "runc"] as const) {
    try {
      const program = await programOf(name, execRoot, cgroups);
      const version = await versionOf(program);
      const found: LowLevel = { name, version, program, root };
      await run(found, ["list", "-q"]);
      return found;
    } catch (thrown) {
      reasons.push(`${name}: ${Fault.from(thrown).message.trim()}`);
    }
  }
  throw new Fault(
    "unavailable",
    `no container runtime works here (${reasons.join("; ")}): install Debian's crun or runc`,
  );
}

/**
 * On machines with both versions of cgroups mounted, crun takes the second for the one to use and refuses: it gets a
 * view without it.
 */
async function programOf(name: "crun" | "runc", execRoot: string, cgroups: CgroupLayout): Promise<string> {
  const unified = cgroups.hierarchies.get("unified");
  if (name !== "crun" || cgroups.kind !== "hybrid" || unified === undefined) return Bun.which(name) ?? name;
  const path = join(execRoot, "crun-without-cgroup2");
  // Static and one program for all three steps where there is one: no library is looked for at every start.
  const box = Bun.which("busybox");
  const via = box === null ? "" : `${box} `;
  const inner = `${via}umount ${unified}; exec ${Bun.which("crun") ?? "crun"} "$@"`.replace(/["$]/g, "\\$&");
  const script = `#!${box === null ? "/bin/sh" : `${box} sh`}\nexec ${via}unshare --mount --propagation private ${via}sh -c "${inner}" sh "$@"\n`;
  await writeFile(path, script, { mode: 0o700 });
  await chmod(path, 0o700);
  return path;
}

async function versionOf(program: string): Promise<string> {
  const text = await output(program, ["--version"]);
  return /version[: ]+v?([\w.+~-]+)/.exec(text)?.[1] ?? text.split("\n", 1)[0] ?? "";
}

/** Runs one command. @throws Fault `internal` with what the program said. */
export async function run(runtime: LowLevel, args: readonly string[]): Promise<string> {
  return await output(runtime.program, ["--root", runtime.root, ...args]);
}

/**
 * Lets a created container's process run. crun's waits for a byte in a pipe beside its state: writing that saves a child
 * process on every start. Where the pipe is not as expected, crun itself does it.
 */
export async function startCreated(runtime: LowLevel, id: string): Promise<void> {
  if (runtime.name === "crun" && (await wroteStartByte(join(runtime.root, id, "exec.fifo")))) return;
  await run(runtime, ["start", id]);
}

/** False when nobody waits there. The pipe's absence is how crun tells a running container from a created one. */
async function wroteStartByte(path: string): Promise<boolean> {
  try {
    await using pipe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
    await unlink(path);
    await pipe.write("0");
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENXIO"))
      return false;
    throw error;
  }
}

/** The first line conmon says about itself. @throws Fault `unavailable`. */
export async function conmonVersion(): Promise<string> {
  try {
    const text = await output("conmon", ["--version"]);
    return /version ([\w.+~-]+)/.exec(text)?.[1] ?? "";
  } catch (cause) {
    throw new Fault("unavailable", "conmon does not work here: install Debian's conmon", { cause });
  }
}

function output(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, [...args], { timeout: callTimeoutMs }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Fault("internal", firstLine(stderr) || error.message, { cause: error }));
    });
  });
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
