/**
 * The low-level runtime: crun, or runc where crun does not work.
 * Owns: which program that is and how it is called. Never: a container's process; conmon is its parent.
 */
import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
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
  const inner = `umount '${unified}'; exec ${Bun.which("crun") ?? "crun"} "$@"`;
  const script = `#!/bin/sh\nexec unshare --mount --propagation private /bin/sh -c "${inner.replace(/["$]/g, "\\$&")}" sh "$@"\n`;
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
