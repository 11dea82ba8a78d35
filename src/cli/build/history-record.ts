/**
 * Pure. What a record of a build says, in buildx's words.
 * Source: docker/buildx commands/history and util/history.
 */
import type { HistoryRead } from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";

/** What buildx wrote down on this machine of a build it asked for. */
export interface LocalState {
  readonly LocalPath?: string;
  readonly DockerfilePath?: string;
}

const builder = "default/default";

/** `builder/node/ref`. */
export function fullRef(ref: string): string {
  return `${builder}/${ref}`;
}

/** The newest for no reference, `^2` for two before that. @throws Fault `not-found`. */
export function chosenRecord(records: readonly HistoryRead[], ref: string): HistoryRead {
  const newest = [...records].sort((left, right) => (started(left) < started(right) ? 1 : -1));
  if (ref.startsWith("^")) {
    if (!/^\^\d+$/.test(ref)) throw new Fault("invalid", `invalid offset ${JSON.stringify(ref.slice(1))}`);
    const found = newest[Number(ref.slice(1))];
    if (found === undefined)
      throw new Fault("not-found", `no completed build found with offset ${ref.slice(1)}`);
    return found;
  }
  const [found] = newest;
  if (found === undefined)
    throw new Fault(
      "not-found",
      ref === "" ? "no records found" : `no record found for ref ${JSON.stringify(ref)}`,
    );
  return found;
}

export function started({ CreatedAt = 0n }: HistoryRead): bigint {
  return CreatedAt;
}

export function durationMs(record: HistoryRead, nowMs: number): number {
  const end = record.CompletedAt === undefined ? nowMs : Number(record.CompletedAt / 1000n) / 1000;
  return end - Number(started(record) / 1000n) / 1000;
}

/** `1.4s`, `12m  3s`. */
export function shownDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  return `${Math.floor(seconds / 60)}m ${String(Math.floor(seconds) % 60).padStart(2)}s`;
}

/** Where the client had its files, as far as anybody wrote it down. */
export function localPlace({ FrontendAttrs: given }: HistoryRead, state: LocalState | undefined) {
  const context = state?.LocalPath ?? given["wherry:context"] ?? "";
  const dockerfile = state?.DockerfilePath ?? given["wherry:dockerfile"] ?? "";
  const isFile = (path: string) => path !== "" && path !== "-";
  return {
    context: isFile(context) && !/^[a-z+]+:\/\//.test(context) ? context : "",
    dockerfile: isFile(dockerfile) && dockerfile !== "Dockerfile" ? dockerfile : "",
  };
}

/** What people call the build: its directory, address or target. */
export function buildName(record: HistoryRead, state: LocalState | undefined): string {
  const given = record.FrontendAttrs;
  const named = given["build-arg:BUILDKIT_BUILD_NAME"];
  if (named) return named;
  const of = (name: string): string => (given[name] === "." ? "" : (given[name] ?? ""));
  const remote = of("context").startsWith("local:") ? "" : of("context");
  const context = remote || of("vcs:localdir:context");
  const place = localPlace(record, state);
  const file = given["filename"] === "Dockerfile" ? "" : (given["filename"] ?? "");
  const inRepository = of("vcs:localdir:dockerfile");
  const dockerfile =
    place.dockerfile ||
    (inRepository === "" ? file : [inRepository, file].filter((part) => part !== "").join("/"));
  const target = of("target");
  const name = context || localName(place.context, dockerfile);
  if (target !== "") return name === "" ? target : `${name} (${target})`;
  return name || (given["vcs:source"] ?? "");
}

function localName(context: string, dockerfile: string): string {
  const standard = "/Dockerfile";
  const isStandard = dockerfile === "" || dockerfile.endsWith(standard);
  const path = dockerfile.endsWith(standard) ? dockerfile.slice(0, -standard.length) : dockerfile;
  if (path.startsWith(context) && path.length > context.length)
    return path.slice(context.lastIndexOf("/") + 1);
  const shown = path || context;
  const parts = shown.split("/").filter((part) => part !== "");
  return (isStandard ? parts.slice(-1) : parts.slice(-2)).join("/");
}

export type ShownStatus = "Running" | "Completed" | "Error";

export function shownStatus({ CompletedAt, error }: HistoryRead): ShownStatus {
  if (CompletedAt === undefined) return "Running";
  return error === undefined ? "Completed" : "Error";
}
