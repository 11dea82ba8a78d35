/**
 * Why a container is in the state it is in: one page from what the API answers.
 * Pure. Promises: says only what the answers show; what is not known is not guessed.
 */

import { shownId } from "#cli/flags/units.ts";
import type { ContainerInspect, ContainerState, EndingInfo, ImageInspect } from "#spec/docker-wire.ts";
import { humanDuration } from "#spec/go-duration.ts";
import { exitMeaning, signalName } from "./exit-words.ts";

export interface WhyFacts {
  readonly container: ContainerInspect;
  /** What it was made of; undefined when that is gone. */
  readonly image?: ImageInspect | undefined;
  /** What the name it was made by means now; undefined when it means nothing any more. */
  readonly named?: ImageInspect | undefined;
  /** Those whose namespaces it shares; `state` is undefined when one is gone. */
  readonly donors: readonly { readonly name: string; readonly state?: ContainerState | undefined }[];
  /** The last ones, or why there are none to be had. */
  readonly logs: readonly string[] | string;
}

/** Lines of output of a probe that are shown. */
const probeLinesMax = 3;

export function whyPage(facts: WhyFacts, nowMs: number): string {
  const { container } = facts;
  const { Name, Id, Config } = container;
  const head = `${Name.slice(1)} (${shownId(Id, false)}, ${Config.Image ?? ""})`;
  const sections: readonly [title: string, lines: readonly string[]][] = [
    ["Health", health(container, nowMs)],
    ["Restarts", restarts(container, nowMs)],
    ["Shared namespaces", donors(facts)],
    ["Changed since", changes(facts, nowMs)],
    ["Last output", typeof facts.logs === "string" ? [facts.logs] : facts.logs],
  ];
  const shown = sections.filter(([, lines]) => lines.length > 0);
  return [
    head,
    ...state(container, nowMs).map((line) => `  ${line}`),
    ...shown.flatMap(([title, lines]) => ["", title, ...lines.map((line) => `  ${line}`)]),
    "",
  ].join("\n");
}

function since(time: string, nowMs: number): string {
  return humanDuration((nowMs - Date.parse(time)) / 1000).toLowerCase();
}

function ago(time: string, nowMs: number): string {
  return `${since(time, nowMs)} ago`;
}

function happened(time: string): boolean {
  return !time.startsWith("0001-");
}

function state({ State, HostConfig, Created }: ContainerInspect, nowMs: number): string[] {
  const failure = State.Error === "" ? [] : [`Its last start failed: ${State.Error}`];
  switch (State.Status) {
    case "created": {
      const meaning = exitMeaning(State.ExitCode);
      return [
        `Created ${ago(Created, nowMs)}, and ${State.Error === "" ? "never started." : "not started yet."}`,
        ...failure,
        ...(State.Error !== "" && meaning !== undefined ? [`Exit code ${State.ExitCode}: ${meaning}.`] : []),
      ];
    }
    case "running":
      return [
        `Running for ${since(State.StartedAt, nowMs)}, as process ${State.Pid}.`,
        ...before(State, nowMs),
      ];
    case "paused":
      return [
        `Paused: its processes stand still until it is unpaused. Started ${ago(State.StartedAt, nowMs)}.`,
      ];
    case "removing":
      return ["Being removed."];
    case "dead":
      return [`Its removal failed: ${State.Error}`, "Remove it again once that is put right."];
    default:
      return [
        `Ended ${ago(State.FinishedAt, nowMs)} with exit code ${State.ExitCode}${meaningOf(State.ExitCode)}.`,
        ...ranFor(State),
        ...cause(State, HostConfig.Memory ?? 0),
        ...failure,
      ];
  }
}

function meaningOf(code: number): string {
  const meaning = exitMeaning(code);
  return meaning === undefined ? "" : ` (${meaning})`;
}

function ranFor({ StartedAt, FinishedAt }: ContainerState): string[] {
  if (!happened(StartedAt) || StartedAt > FinishedAt) return [];
  const seconds = (Date.parse(FinishedAt) - Date.parse(StartedAt)) / 1000;
  return [`It had run for ${humanDuration(seconds).toLowerCase()}.`];
}

/** Who or what ended the last run. */
function cause({ Ending, ExitCode, OOMKilled }: ContainerState, memory: number): string[] {
  const lines: string[] = [];
  if (OOMKilled)
    lines.push(
      memory > 0
        ? `The kernel killed a process of it for want of memory: its limit is ${bytes(memory)}.`
        : "The kernel killed a process of it for want of memory; it has no limit of its own.",
    );
  if (Ending !== undefined) lines.push(...endedBy(Ending, ExitCode));
  else if (!OOMKilled && ExitCode > 128 && ExitCode <= 128 + 64)
    lines.push("Nobody asked the engine for that: the signal came from inside it, or from the host.");
  else if (!OOMKilled) lines.push("Its process ended by itself.");
  return lines;
}

const deeds: Readonly<Record<EndingInfo["By"], string>> = {
  stop: "A user stopped it",
  kill: "A user killed it",
  restart: "A user restarted it",
  remove: "A user removed it by force",
  unhealthy: "Its restart policy ended it, being unhealthy",
  lost: "The engine was not there when it ended",
};

function endedBy({ By, Signal, At }: EndingInfo, exitCode: number): string[] {
  const by = Signal === 0 ? "" : ` with ${signalName(Signal)}`;
  const late = By !== "kill" && Signal !== 9 && exitCode === 128 + 9;
  return [
    `${deeds[By]}${by} at ${clock(At)}.`,
    ...(late && By !== "lost" ? ["It did not end within its grace, and was killed then."] : []),
  ];
}

/** The run before the one that goes on. */
function before({ Previous }: ContainerState, nowMs: number): string[] {
  if (Previous === undefined) return [];
  const { ExitCode, FinishedAt, Ending, OOMKilled } = Previous;
  const why = OOMKilled
    ? ", for want of memory"
    : Ending === undefined
      ? ""
      : `: ${deeds[Ending.By].replace(/^./, (first) => first.toLowerCase())}`;
  return [
    `The run before ended ${ago(FinishedAt, nowMs)} with exit code ${ExitCode}${meaningOf(ExitCode)}${why}.`,
  ];
}

function health({ State, Config }: ContainerInspect, nowMs: number): string[] {
  const { Health, Status } = State;
  if (Health === undefined) return [];
  const check = `Checked by ${(Config.Healthcheck?.Test ?? []).join(" ")}`;
  const streak = Health.FailingStreak > 0 ? `, ${Health.FailingStreak} failures in a row` : "";
  const word = Status === "running" ? Health.Status : "not checked while it does not run";
  return [
    `${word}${streak}. ${check}`,
    ...(Health.Log ?? []).flatMap(({ Start, ExitCode, Output }) => {
      const [first = "", ...rest] = Output.trimEnd().split("\n").slice(0, probeLinesMax);
      const result = ExitCode === 0 ? "healthy" : ExitCode < 0 ? "no answer" : `failed with ${ExitCode}`;
      return [`${ago(Start, nowMs)}: ${result}. ${first}`.trimEnd(), ...rest.map((line) => `    ${line}`)];
    }),
  ];
}

const policies: Readonly<Record<string, string>> = {
  always: "It is always restarted, unless a user stops it; when the engine comes back, even then.",
  "unless-stopped": "It is restarted unless a user stops it.",
  "on-failure": "It is restarted when it fails",
  "on-unhealthy": "It is restarted when it fails or is unhealthy",
};

function restarts({ State, HostConfig, RestartCount }: ContainerInspect, nowMs: number): string[] {
  const { Name = "", MaximumRetryCount = 0 } = HostConfig.RestartPolicy ?? {};
  const text = policies[Name];
  if (text === undefined) return [];
  const bound = MaximumRetryCount > 0 ? `, ${MaximumRetryCount} times at most.` : ".";
  const done = RestartCount === 0 ? [] : [`Restarted ${times(RestartCount)} since a user last started it.`];
  const usedUp = MaximumRetryCount > 0 && RestartCount >= MaximumRetryCount;
  const next =
    State.RestartAt !== undefined
      ? [`Next restart in ${Math.max(0, (Date.parse(State.RestartAt) - nowMs) / 1000).toFixed(1)} s.`]
      : usedUp
        ? ["No restart is left: start it to begin anew."]
        : [];
  return [text.endsWith(".") ? text : `${text}${bound}`, ...done, ...next];
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function donors({ container, donors: all }: WhyFacts): string[] {
  return all.flatMap(({ name, state: other }) => {
    if (other === undefined) return [`${name} is gone: this container cannot start any more.`];
    if (!other.Running) return [`${name} does not run: start it first.`];
    const isLive = container.State.Status === "running" || container.State.Status === "paused";
    return isLive && other.StartedAt > container.State.StartedAt
      ? [`${name} was restarted after this container: restart this one to join it again.`]
      : [];
  });
}

function changes({ container, image, named }: WhyFacts, nowMs: number): string[] {
  const reference = container.Config.Image ?? "";
  const own = image === undefined ? ["The image it was made of is not here any more."] : [];
  if (named === undefined || named.Id === container.Image) return own;
  const differing = image === undefined ? [] : differences(image, named);
  const made = named.Created === undefined ? "" : `, made ${ago(named.Created, nowMs)}`;
  return [
    ...own,
    `${reference} is another image now: ${shownId(named.Id, false)}${made}; this container still runs ${shownId(container.Image, false)}.`,
    ...(differing.length > 0 ? [`They differ in ${differing.join(", ")}, besides their files.`] : []),
    "Make the container anew to use it.",
  ];
}

/** Fields of what two images say about running them. */
function differences(a: ImageInspect, b: ImageInspect): string[] {
  const [one, other] = [Object.entries(a.Config ?? {}), new Map(Object.entries(b.Config ?? {}))];
  return one
    .filter(([field, value]) => JSON.stringify(value) !== JSON.stringify(other.get(field)))
    .map(([field]) => field);
}

function bytes(size: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [size, 0];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))} ${units[unit]}`;
}

/** `2026-01-01 12:00:00`, in UTC. */
function clock(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
}
