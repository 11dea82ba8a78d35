/**
 * `ps` of the host, kept to the processes of one container.
 * Owns: which arguments are taken, and how the table is read. Promises: Docker's words for what cannot be shown.
 */
import { spawn } from "node:child_process";
import { Fault } from "#spec/fault.ts";

export interface ProcessTable {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

/** More than a machine full of processes fills. */
const outputBytesMax = 32 << 20;

/** @throws Fault `invalid` for arguments that would hide the pids; `internal` with ps's own words when it fails. */
export async function listProcesses(args: string, pids: readonly number[]): Promise<ProcessTable> {
  checkArguments(args);
  const words = args.split(" ").filter((word) => word !== "");
  if (pids.length === 0) return keepProcesses(await ps(words), new Set());
  // Asking for these only is cheaper; some options of ps cannot be used together with it.
  const output = await ps([...words, `-q${pids.join(",")}`]).catch(async () => await ps(words));
  return keepProcesses(output, new Set(pids));
}

/** A column other than the pids must not be called PID. */
function checkArguments(args: string): void {
  for (const [, column = "", title = ""] of args.matchAll(/\s+([^\s=]*)=\s*(PID\S*)/g))
    if (column !== "pid") throw new Fault("internal", `specifying "${column}=${title}" is not allowed`);
}

/** Columns of ps, with the last one's blanks kept together. Exported for its test. */
export function keepProcesses(output: string, pids: ReadonlySet<number>): ProcessTable {
  const [head = "", ...lines] = output.split("\n");
  const titles = fields(head);
  const pidColumn = titles.indexOf("PID");
  if (pidColumn < 0) throw new Fault("internal", "Couldn't find PID field in ps output");
  const processes: string[][] = [];
  let kept = false;
  for (const line of lines) {
    const cells = fields(line);
    if (cells.length === 0) continue;
    const pid = cells[pidColumn] ?? "";
    // Threads are listed below their process, with a dash for its pid.
    if (pid !== "-") {
      if (!/^\d+$/.test(pid)) throw new Fault("internal", `Unexpected pid '${pid}'`);
      kept = pids.has(Number(pid));
    }
    if (kept) processes.push(overhangJoined(cells, titles.length));
  }
  return { titles, processes };
}

function overhangJoined(cells: readonly string[], columns: number): string[] {
  return cells.length <= columns
    ? [...cells]
    : [...cells.slice(0, columns - 1), cells.slice(columns - 1).join(" ")];
}

function fields(line: string): string[] {
  return line.split(/[ \t]+/).filter((field) => field !== "");
}

function ps(args: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn("ps", args, { stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    output += part;
    if (output.length > outputBytesMax) child.kill("SIGKILL");
  });
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    errors = `${errors}${part}`.slice(0, 4096);
  });
  child.once("error", (cause) =>
    reject(new Fault("unavailable", "ps cannot be run: install procps on the engine's machine", { cause })),
  );
  child.once("close", (code) => {
    if (code === 0) resolve(output);
    else reject(new Fault("internal", `ps: ${errors.split("\n")[0] || `exit status ${code}`}`));
  });
  return promise;
}
