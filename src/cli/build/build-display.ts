/**
 * How a build is shown while it runs: lines as `docker build --progress plain` has them, a list redrawn on a terminal, or
 * BuildKit's own messages as JSON.
 */
import type { StatusRead } from "#spec/buildkit-control.ts";
import { nanoOfFineMillis } from "#spec/unix-time.ts";

export interface BuildDisplay {
  take(status: StatusRead): void;
  /** Everything was told. */
  end(): void;
}

export interface Screen {
  write(text: string): void;
  readonly columns: number;
  readonly rows: number;
}

type VertexRead = StatusRead["vertexes"][number];

/** @throws never; unknown modes are the caller's to refuse. */
export function displayOf(
  mode: "plain" | "tty" | "rawjson",
  screen: Screen,
  nowMs: () => number,
): BuildDisplay {
  if (mode === "rawjson") return new RawDisplay(screen);
  return mode === "tty" ? new TerminalDisplay(screen, nowMs) : new PlainDisplay(screen);
}

class RawDisplay implements BuildDisplay {
  readonly #screen: Screen;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  take(status: StatusRead): void {
    const time = (nano: bigint | undefined): string | undefined =>
      nano === undefined ? undefined : new Date(Number(nano / 1_000_000n)).toISOString();
    const message = {
      ...(status.vertexes.length > 0 && {
        vertexes: status.vertexes.map((each) => ({
          digest: each.digest,
          ...(each.inputs.length > 0 && { inputs: each.inputs }),
          name: each.name,
          started: time(each.started),
          completed: time(each.completed),
          ...(each.cached && { cached: true }),
          ...(each.error !== "" && { error: each.error }),
        })),
      }),
      ...(status.statuses.length > 0 && {
        statuses: status.statuses.map((each) => ({
          ...{ id: each.ID, vertex: each.vertex, current: each.current, total: each.total },
          ...{
            timestamp: time(each.timestamp),
            started: time(each.started),
            completed: time(each.completed),
          },
        })),
      }),
      ...(status.logs.length > 0 && {
        logs: status.logs.map((each) => ({
          ...{ vertex: each.vertex, stream: each.stream, timestamp: time(each.timestamp) },
          data: Buffer.from(each.msg).toString("base64"),
        })),
      }),
      ...(status.warnings.length > 0 && {
        warnings: status.warnings.map((each) => ({
          ...{ vertex: each.vertex, level: each.level, url: each.url },
          short: Buffer.from(each.short).toString("base64"),
        })),
      }),
    };
    this.#screen.write(`${JSON.stringify(message)}\n`);
  }

  end(): void {}
}

/** One vertex as far as it has been told. */
interface Step {
  readonly number: number;
  vertex: VertexRead;
  /** Output that does not end with a line break yet. */
  rest: string;
  /** The last of its output, with the seconds since it began. */
  readonly lines: { readonly since: string; readonly text: string }[];
  doneSaid: boolean;
}

/** Lines of output that are remembered of one step. */
const linesMax = 1000;

/** Numbers in the order vertices begin. */
class Steps {
  readonly all = new Map<string, Step>();
  readonly warnings: string[] = [];

  take({ vertexes, warnings }: StatusRead, changed: (step: Step, isNew: boolean) => void): void {
    for (const vertex of vertexes) {
      if (vertex.started === undefined) continue;
      const known = this.all.get(vertex.digest);
      const step = known ?? { number: this.all.size + 1, vertex, rest: "", lines: [], doneSaid: false };
      step.vertex = vertex;
      this.all.set(vertex.digest, step);
      changed(step, known === undefined);
    }
    for (const { short } of warnings) this.warnings.push(Buffer.from(short).toString());
  }

  /** Output of a step, in lines; what has no end yet waits for the rest of it. */
  heard(log: StatusRead["logs"][number], end: string | RegExp): [Step, Step["lines"]] | undefined {
    const step = this.all.get(log.vertex);
    if (step === undefined) return undefined;
    const since = seconds((log.timestamp ?? 0n) - (step.vertex.started ?? 0n), 3);
    const texts = (step.rest + Buffer.from(log.msg).toString()).split(end);
    step.rest = texts.pop() ?? "";
    const lines = texts.map((text) => ({ since, text }));
    step.lines.push(...lines);
    step.lines.splice(0, step.lines.length - linesMax);
    return [step, lines];
  }

  /** What steps said that failed, and the warnings. */
  ending(shown: (line: string) => string): string {
    const failed = [...this.all.values()].filter(
      ({ vertex: { error } }) => error !== "" && !error.endsWith("context canceled"),
    );
    const boxes = failed.map(({ vertex, lines }) => {
      const said = lines.map(({ since, text }) => `${shown(`${since} ${text}`)}\n`).join("");
      return `------\n > ${vertex.name}:\n${said}------\n`;
    });
    return boxes.join("") + this.summary();
  }

  summary(): string {
    const { length } = this.warnings;
    if (length === 0) return "";
    const head = `\n ${length} warning${length === 1 ? "" : "s"} found:\n`;
    return head + this.warnings.map((each) => ` - ${each}\n`).join("");
  }
}

class PlainDisplay implements BuildDisplay {
  readonly #screen: Screen;
  readonly #steps = new Steps();
  #last = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  take(status: StatusRead): void {
    const ended: Step[] = [];
    this.#steps.take(status, (step, isNew) => {
      if (isNew) this.#say(step, step.vertex.name, true);
      if (step.vertex.completed !== undefined && !step.doneSaid) ended.push(step);
    });
    for (const { vertex, ID, current, total, completed } of status.statuses) {
      const step = this.#steps.all.get(vertex);
      if (step === undefined || completed === undefined) continue;
      this.#say(step, `${ID}${amount(current, total)} done`);
    }
    for (const log of status.logs) {
      const [step, lines = []] = this.#steps.heard(log, "\n") ?? [];
      if (step !== undefined) for (const { since, text } of lines) this.#say(step, `${since} ${text}`);
    }
    for (const step of ended) this.#end(step);
  }

  #end(step: Step): void {
    step.doneSaid = true;
    if (step.rest !== "") this.#say(step, step.rest);
    step.rest = "";
    const { started = 0n, completed = 0n, cached, error } = step.vertex;
    if (error !== "") this.#say(step, error.endsWith("context canceled") ? "CANCELED" : `ERROR: ${error}`);
    else this.#say(step, cached ? "CACHED" : `DONE ${seconds(completed - started, 1)}s`);
  }

  #say(step: Step, text: string, isNew = false): void {
    if (this.#last !== 0 && this.#last !== step.number) this.#screen.write("\n");
    if (!isNew && this.#last !== step.number) this.#screen.write(`#${step.number} ${step.vertex.name}\n`);
    this.#last = step.number;
    this.#screen.write(`#${step.number} ${text}\n`);
  }

  end(): void {
    this.#screen.write(this.#steps.ending((line) => line));
  }
}

const linesShown = 6;
const redrawMs = 100;

/** Finished steps above, then those that run with their last lines of output, each with its time. */
class TerminalDisplay implements BuildDisplay {
  readonly #screen: Screen;
  readonly #nowMs: () => number;
  readonly #steps = new Steps();
  readonly #current = new Map<string, string>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #begunMs: number;
  #drawn = 0;
  #isOver = false;

  constructor(screen: Screen, nowMs: () => number) {
    this.#screen = screen;
    this.#nowMs = nowMs;
    this.#begunMs = nowMs();
    this.#timer = setInterval(() => this.#draw(), redrawMs);
  }

  take(status: StatusRead): void {
    this.#steps.take(status, () => undefined);
    for (const { vertex, ID, current, total, completed } of status.statuses)
      this.#current.set(vertex, `${ID}${amount(current, total)}${completed === undefined ? "" : " done"}`);
    for (const log of status.logs) this.#steps.heard(log, /\r?\n|\r/);
  }

  #draw(): void {
    const lines = this.#lines().slice(-Math.max(1, this.#screen.rows - 1));
    const width = Math.max(20, this.#screen.columns);
    const up = this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A`;
    const shown = lines.map((line) => `\u001b[2K${visible(line, width)}\n`).join("");
    this.#screen.write(`${up}\u001b[J${shown}`);
    this.#drawn = lines.length;
  }

  #lines(): string[] {
    const steps = [...this.#steps.all.values()];
    const done = steps.filter(({ vertex }) => vertex.completed !== undefined).length;
    const total = seconds(BigInt(Math.round((this.#nowMs() - this.#begunMs) * 1e6)), 1);
    const head = `[+] Building ${total}s (${done}/${steps.length})${this.#isOver ? " FINISHED" : ""}`;
    return [head, ...steps.flatMap((step) => this.#stepLines(step))];
  }

  #stepLines({ vertex, lines }: Step): string[] {
    const { started = 0n, completed, cached, error } = vertex;
    const now = nanoOfFineMillis(this.#nowMs());
    const time = `${seconds((completed ?? now) - started, 1)}s`;
    const mark = error !== "" ? "ERROR" : cached ? "CACHED" : "";
    const first = ` => ${mark === "" ? "" : `${mark} `}${vertex.name}\u0000${time}`;
    if (completed !== undefined && error === "") return [first];
    const status = this.#current.get(vertex.digest);
    const more = [
      ...(status === undefined ? [] : [status]),
      ...lines.slice(-linesShown).map(({ text }) => text),
    ];
    return [first, ...more.map((line) => ` => => # ${line}`)];
  }

  end(): void {
    clearInterval(this.#timer);
    this.#isOver = true;
    this.#draw();
    this.#screen.write(this.#steps.ending((line) => visible(line, Number.POSITIVE_INFINITY)));
  }
}

/** Cut to the width, what follows the NUL at its right end; nothing a program wrote can move the cursor. */
function visible(line: string, width: number): string {
  const [text = "", right = ""] = line.split("\u0000");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  const plain = text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u001f\u007f]/g, "");
  const room = width - right.length - 1;
  return `${plain.slice(0, room).padEnd(right === "" ? 0 : room)} ${right}`.trimEnd();
}

function amount(current: number, total: number): string {
  if (current === 0 && total === 0) return "";
  return total > 0 ? ` ${bytes(current)} / ${bytes(total)}` : ` ${bytes(current)}`;
}

function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? value : value.toFixed(2)}${units[unit]}`;
}

function seconds(nano: bigint, digits: number): string {
  return (Number(nano) / 1e9).toFixed(digits);
}
