/** Pure. `builder history inspect` for people, laid out as buildx does. */

import { binarySize } from "#cli/flags/units.ts";
import type { InspectDocument, NamedValue } from "./history-inspect.ts";
import { shownDuration } from "./history-record.ts";

type Line = readonly [title: string, value: string];

export function historyPage(o: InspectDocument, isNamed: boolean): string {
  const about = lines([
    ["Name", o.Name],
    ["Ref", isNamed ? "" : o.Ref],
    ["Context", o.Context],
    ["Dockerfile", o.Dockerfile],
    ["VCS Repository", o.VCSRepository],
    ["VCS Revision", o.VCSRevision],
    ["Target", o.Target],
    ["Platforms", o.Platform.join(", ")],
    ["Keep Git Dir", o.KeepGitDir ? "true" : ""],
  ]);
  const cached = o.NumTotalSteps === 0 ? 0 : (o.NumCachedSteps / o.NumTotalSteps) * 100;
  const course = lines([
    ["Started", o.StartedAt.slice(0, 19).replace("T", " ")],
    ["Duration", shownDuration(o.Duration / 1e6) + (o.Status === "running" ? " (running)" : "")],
    ["Error", o.Status === "failed" ? `${codeName(o.Error?.Code ?? 2)} ${o.Error?.Message ?? ""}` : ""],
    ["Status", o.Status === "canceled" ? "Canceled" : ""],
    ["Build Steps", `${o.NumCompletedSteps}/${o.NumTotalSteps} (${cached.toFixed(0)}% cached)`],
  ]);
  return [
    about,
    table(["NAMED CONTEXT", "VALUE"], o.NamedContexts.map(pair)),
    course,
    configLines(o.Config),
    table(["BUILD ARG", "VALUE"], o.BuildArgs.map(pair)),
    table(["LABEL", "VALUE"], o.Labels.map(pair)),
    titled(
      "Materials:",
      ["URI", "DIGEST"],
      o.Materials.map(({ URI, Digests }) => [URI, Digests.join(", ")]),
    ),
    titled(
      "Attachments:",
      ["DIGEST", "PLATFORM", "TYPE"],
      o.Attachments.map(({ Digest, Platform, Type }) => [Digest, Platform, Type]),
    ),
    failure(o.Error),
    `Print build logs: wherry builder history logs ${o.Ref}\n`,
  ]
    .filter((part) => part !== "")
    .join("\n");
}

const codeNames: Readonly<Record<number, string>> = {
  1: "Canceled",
  2: "Unknown",
  5: "NotFound",
  12: "Unimplemented",
};

function codeName(code: number): string {
  return codeNames[code] ?? `Code(${code})`;
}

function configLines({
  ExtraHosts,
  MultiPlatform,
  NoCache,
  NoCacheFilter,
  RestRaw,
  ...o
}: InspectDocument["Config"]) {
  return lines([
    ["Network", o.Network],
    ["Hostname", o.Hostname],
    ["Extra Hosts", ExtraHosts.join(", ")],
    ["Cgroup Parent", o.CgroupParent],
    ["Image Resolve Mode", o.ImageResolveMode],
    ["Multi-Platform", MultiPlatform ? "true" : ""],
    ["No Cache", NoCache ? "true" : ""],
    ["No Cache Filter", NoCacheFilter.join(", ")],
    ["Shm Size", o.ShmSize],
    ["Resource Limits", o.Ulimit],
    ["Memory", shownBytes(o.Memory)],
    ["Memory Swap", shownBytes(o.MemorySwap)],
    ["CPU Shares", o.CPUShares],
    ["CPU Period", o.CPUPeriod],
    ["CPU Quota", o.CPUQuota],
    ["CPUSet CPUs", o.CPUSetCPUs],
    ["CPUSet Mems", o.CPUSetMems],
    ["Cache Mount Namespace", o.CacheMountNS],
    ["Dockerfile Check Config", o.DockerfileCheckConfig],
    ["Source Date Epoch", o.SourceDateEpoch],
    ["Sandbox Hostname", o.SandboxHostname],
    ...RestRaw.map(({ Name, Value }): Line => [Name, Value]),
  ]);
}

function shownBytes(text: string): string {
  return /^\d+$/.test(text) ? binarySize(Number(text)) : text;
}

function failure(error: InspectDocument["Error"]): string {
  if (error === undefined) return "";
  const source = Buffer.from(error.Sources, "base64").toString();
  const logs = [`Logs:`, `> => ${error.Name}:`, ...error.Logs.map((line) => `> ${line}`)].join("\n");
  return source + (error.Logs.length > 0 ? `${source === "" ? "" : "\n"}${logs}\n` : "");
}

function pair({ Name, Value }: NamedValue): string[] {
  return [Name, Value];
}

/** Those that have a value. */
function lines(all: readonly Line[]): string {
  return columns(all.filter(([, value]) => value !== "").map(([title, value]) => [`${title}:`, value]));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : columns([head, ...rows]);
}

function titled(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : `${title}\n${table(head, rows)}`;
}

const tab = 8;

/** As Go's tabwriter with tabs for padding. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [at, cell] of row.slice(0, -1).entries())
      widths[at] = Math.max(widths[at] ?? 0, Math.ceil(([...cell].length + 1) / tab) * tab);
  return rows
    .map((row) => {
      const cells = row.map((cell, at) => {
        if (at === row.length - 1) return cell;
        return cell + "\t".repeat(Math.ceil(((widths[at] ?? 0) - [...cell].length) / tab));
      });
      return `${cells.join("")}\n`;
    })
    .join("");
}
