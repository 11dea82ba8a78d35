/**
 * Runs every case of the lifecycle*.txt files beside it: what the container is, events with the second they come at, `----`,
 * and for each event what changes in the record and what is done. Cases are separated by `====`. `UPDATE_TRACE=1` writes
 * what does come out, to be read before it is committed.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { next } from "#engine/lifecycle/lifecycle.ts";
import type { Action, LifecycleEvent, Reality } from "#engine/transition.ts";
import { type ContainerRecord, parseContainerId, zeroTime } from "#spec/container.ts";
import { parseDigest } from "#spec/digest.ts";
import type { ProbeResult } from "#spec/health.ts";

interface Given {
  /** `on-failure:2`. */
  policy?: string;
  rm?: boolean;
  check?: ContainerRecord["config"]["Healthcheck"];
  purpose?: "build";
  /** What differs from a container that was just created. */
  record?: Partial<ContainerRecord>;
  observed?: Partial<ContainerRecord["observed"]>;
}

const start = Date.parse("2026-01-01T00:00:00Z");
const at = (seconds: number) => new Date(start + seconds * 1000).toISOString();

for (const file of readdirSync(import.meta.dir).filter((name) => /^lifecycle.*\.txt$/.test(name))) {
  const path = join(import.meta.dir, file);
  const cases = readFileSync(path, "utf8")
    .split(/^====\n/m)
    .map(run);
  if (process.env["UPDATE_TRACE"] === "1") writeFileSync(path, cases.map(({ text }) => text).join("====\n"));
  for (const { title, got, wanted } of cases) test(`${file}: ${title}`, () => expect(got).toBe(wanted));
}

function run(text: string) {
  const [, comments = "", given = "", events = "", wanted = ""] =
    /^((?:# [^\n]*\n)+)given ?([^\n]*)\n(.*?)(?<=\n)----\n(.*)$/s.exec(text) ?? [];
  if (comments === "") throw new Error(`not a trace case: ${text}`);
  const got = play(
    containerOf(given === "" ? {} : (JSON.parse(given) as Given)),
    events.trimEnd().split("\n"),
  );
  const head = `${comments}given${given === "" ? "" : ` ${given}`}\n${events}`;
  return { title: comments.slice(2).trim(), got, wanted, text: `${head}----\n${got}` };
}

function containerOf(o: Given): ContainerRecord {
  const [Name = "", count] = (o.policy ?? "").split(":");
  return {
    id: parseContainerId("a".repeat(64)),
    name: "web",
    created: at(0),
    image: { reference: "busybox", id: parseDigest(`sha256:${"b".repeat(64)}`) },
    config: { Cmd: ["true"], ...(o.check !== undefined && { Healthcheck: o.check }) },
    host: {
      RestartPolicy: {
        Name,
        ...(count !== undefined && { MaximumRetryCount: Number(count) }),
      } as NonNullable<ContainerRecord["host"]["RestartPolicy"]>,
      ...(o.rm === true && { AutoRemove: true }),
    },
    endpoints: {},
    mounts: [],
    desired: "stopped",
    run: 0,
    restartCount: 0,
    restartDelayMs: 0,
    manuallyStopped: false,
    ...(o.purpose !== undefined && { purpose: o.purpose }),
    ...o.record,
    observed: {
      ...{ status: "created", pid: 0, exitCode: 0, error: "", oomKilled: false },
      ...{ startedAt: zeroTime, finishedAt: zeroTime },
      ...o.observed,
    },
  };
}

function play(first: ContainerRecord, lines: readonly string[]): string {
  let record = first;
  const out: string[] = [];
  for (const line of lines) {
    const [seconds = "", kind = "", ...words] = line.split(" ");
    const now = at(Number(seconds));
    const [after, actions] = next(record, eventOf(kind, words, now), now);
    out.push(`${kind} ${words.join(" ")}`.trim(), ...changes(record, after), ...actions.map(showAction));
    record = after;
  }
  return out.map((line) => `${line}\n`).join("");
}

function eventOf(kind: string, words: readonly string[], now: string): LifecycleEvent {
  const [first = "", second = ""] = words;
  switch (kind) {
    case "launched":
      return { kind, pid: Number(first) };
    case "launch-failed":
      return { kind, exitCode: Number(first), error: words.slice(1).join(" ") };
    case "stop-requested":
      return { kind, by: first as "stop" | "kill" | "restart", signal: Number(second) };
    case "exited":
      return { kind, exitCode: Number(first), oomKilled: second === "oom", finishedAt: now };
    case "probed":
      return {
        kind,
        result: { start: now, end: now, exitCode: Number(first), output: words.slice(1).join(" ") },
      };
    case "remove-failed":
      return { kind, error: words.join(" ") };
    case "engine-started":
      return { kind, reality: realityOf(first, second, now) };
    default:
      return { kind } as LifecycleEvent;
  }
}

function realityOf(state: string, word: string, finishedAt: string): Reality {
  if (state === "running" || state === "paused") return { state, pid: Number(word) };
  if (state === "stopped") return { state, exitCode: Number(word), oomKilled: false, finishedAt };
  return { state } as Reality;
}

function showAction(action: Action): string {
  const { do: word, ...more } = action;
  if (action.do !== "emit") return `  > ${[word, ...Object.values(more)].join(" ")}`;
  const attributes = Object.entries(action.attributes).map(([key, value]) => `${key}=${value}`);
  return `  > ${["emit", action.action, ...attributes].join(" ")}`;
}

/** Times are shown as seconds since the beginning. */
function changes(before: ContainerRecord, after: ContainerRecord): string[] {
  const [old, fresh] = [flatten(before), flatten(after)];
  const keys = [...new Set([...old.keys(), ...fresh.keys()])];
  return keys
    .filter((key) => old.get(key) !== fresh.get(key))
    .map((key) => `  ${key} = ${fresh.get(key) ?? "-"}`);
}

function showResult({ start: time, exitCode, output }: ProbeResult): string {
  return `${exitCode} at +${(Date.parse(time) - start) / 1000}s ${output}`.trim();
}

function flatten(value: unknown, prefix = "", into = new Map<string, string>()): Map<string, string> {
  if (typeof value !== "object" || value === null) {
    const isTime = typeof value === "string" && value.startsWith("2026-01-0");
    return into.set(prefix, isTime ? `+${(Date.parse(value) - start) / 1000}s` : String(value));
  }
  if (Array.isArray(value)) return into.set(prefix, value.map(showResult).join(" | "));
  for (const [key, inner] of Object.entries(value))
    flatten(inner, [prefix, key].filter((each) => each !== "" && each !== "observed").join("."), into);
  return into;
}
