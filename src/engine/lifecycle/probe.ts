/** One look at a container's health: a command in it, or a connection from within its network. */

import type { Emit } from "#engine/emit.ts";
import { containerAttributes, execWords } from "#engine/event-attributes.ts";
import type { ExecSession, ReachPart, RuntimePart, Waiting } from "#engine/parts.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Probe } from "#spec/health.ts";

/** Bytes of output that are kept. */
const outputMax = 4096;
/** How long the output of an ended probe may still come: children of its may hold it open for good. */
const lateOutputMs = 250;

export interface ProbeParts {
  readonly runtime: Pick<RuntimePart, "exec">;
  readonly reach: ReachPart;
  readonly emit: Emit;
  readonly randomHex: (bytes: number) => string;
}

export interface Look {
  /** 0 is healthy. */
  readonly exitCode: number;
  readonly output: string;
}

export interface LookOptions extends Waiting {
  /** All output so far, whenever there is more. */
  readonly onOutput: (text: string) => void;
}

/**
 * When the signal fires it is killed, and settles when it is gone.
 * @throws Fault when there is no way to look.
 */
export async function probeOnce(
  parts: ProbeParts,
  record: ContainerRecord,
  probe: Probe,
  o: LookOptions,
): Promise<Look> {
  if (probe.kind === "exec") return await runCommand(parts, record, probe.args, o);
  try {
    return await connect(parts.reach, record.observed.pid, probe, o);
  } catch (thrown) {
    const { kind, message } = Fault.from(thrown);
    // A connection that is refused is an answer, too.
    if (kind === "unavailable") return { exitCode: 1, output: message };
    throw thrown;
  }
}

async function connect(
  reach: ReachPart,
  pid: number,
  probe: Exclude<Probe, { kind: "exec" }>,
  o: Waiting,
): Promise<Look> {
  switch (probe.kind) {
    case "tcp":
      await reach.tcp(pid, probe, o);
      return { exitCode: 0, output: `connected to ${probe.host} port ${probe.port}` };
    case "http": {
      const { status, reason, body } = await reach.http(pid, probe, o);
      const output = new Output();
      output.add(Buffer.from(`${status} ${reason}\n`));
      output.add(body);
      return { exitCode: status >= 200 && status < 400 ? 0 : 1, output: output.text() };
    }
  }
}

async function runCommand(
  parts: ProbeParts,
  record: ContainerRecord,
  args: readonly string[],
  o: LookOptions,
): Promise<Look> {
  const execID = parts.randomHex(32);
  const tell = (action: string, more: Record<string, string> = {}): void =>
    parts.emit("container", action, record.id, { ...containerAttributes(record), execID, ...more });
  tell(`exec_create: ${execWords(args)}`);
  tell(`exec_start: ${execWords(args)}`);
  // It is started with a signal of its own: a start that is called off half-way leaves nobody to kill.
  const session = await parts.runtime.exec(record, execID, { ...plain, args }, { signal: never });
  await using gone = new AsyncDisposableStack();
  gone.use(session);
  const kill = (): void => void session.kill(sigkill).catch(() => undefined);
  if (o.signal.aborted) kill();
  o.signal.addEventListener("abort", kill, { once: true });
  gone.defer(() => o.signal.removeEventListener("abort", kill));
  const output = new Output();
  const read = collect(session, output, o.onOutput);
  const exitCode = await session.exit;
  tell("exec_die", { exitCode: String(exitCode) });
  await Promise.race([read, new Promise((resolve) => setTimeout(resolve, lateOutputMs).unref())]);
  return { exitCode, output: output.text() };
}

const sigkill = 9;
const never = new AbortController().signal;
const plain = {
  ...{ env: [], user: "", cwd: "", tty: false, stdin: false, stdout: true, stderr: true },
  privileged: false,
  probe: true,
} as const;

async function collect(
  session: ExecSession,
  output: Output,
  onOutput: (text: string) => void,
): Promise<void> {
  for await (const { bytes } of session.output) if (output.add(bytes)) onOutput(output.text());
}

/** The beginning of what a probe says. */
class Output {
  readonly #parts: Uint8Array[] = [];
  #size = 0;

  /** False when nothing more is kept. */
  add(bytes: Uint8Array): boolean {
    if (this.#size > outputMax) return false;
    this.#parts.push(bytes.subarray(0, outputMax + 1 - this.#size));
    this.#size += bytes.length;
    return true;
  }

  text(): string {
    const kept = Buffer.concat(this.#parts);
    return kept.length > outputMax ? `${kept.toString("utf8", 0, outputMax)}...` : kept.toString();
  }
}
