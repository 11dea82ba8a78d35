/** Pure. BuildKit's frontend attributes, read. */

import { csvFields } from "#build/language/run-mount.ts";
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import { parsePlatform } from "#spec/platform.ts";

export type FrontendOptions = Readonly<Record<string, string>>;

/** Those with a prefix, without it. */
export function prefixed(options: FrontendOptions, prefix: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(options)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}

/** `linux/amd64,linux/arm64`; the machine's own when nothing is asked for. @throws Fault `invalid`. */
export function platformsOf(options: FrontendOptions, own: Platform): Platform[] {
  const asked = (options["platform"] ?? "").split(",").filter((each) => each !== "");
  return asked.length === 0 ? [own] : asked.map((each) => (each === "local" ? own : parsePlatform(each)));
}

/** Stages that are built anew. */
export function noCacheOf(options: FrontendOptions): "all" | readonly string[] {
  const given = options["no-cache"];
  if (given === undefined) return [];
  return given === "" ? "all" : given.split(",");
}

/** SOURCE_DATE_EPOCH in milliseconds. @throws Fault `invalid`. */
export function epochOf(buildArgs: Readonly<Record<string, string | null>>): number | undefined {
  const given = buildArgs["SOURCE_DATE_EPOCH"];
  if (given === undefined || given === null || given === "") return undefined;
  if (/^\d{1,12}$/.test(given)) return Number(given) * 1000;
  throw new Fault("invalid", `invalid SOURCE_DATE_EPOCH: ${given} is no number of seconds`);
}

const numbers = {
  "shm-size": "ShmSize",
  memory: "Memory",
  memswap: "MemorySwap",
  cpushares: "CpuShares",
  cpuperiod: "CpuPeriod",
  cpuquota: "CpuQuota",
} as const;
const texts = {
  "cgroup-parent": "CgroupParent",
  cpusetcpus: "CpusetCpus",
  cpusetmems: "CpusetMems",
} as const;

/** For containers of RUN. @throws Fault `invalid` naming the attribute. */
export function hostOf(options: FrontendOptions): HostConfig {
  const host: HostConfig = { NetworkMode: networkOf(options["force-network-mode"] ?? "") };
  for (const [name, field] of Object.entries(numbers)) {
    const given = options[name];
    if (given === undefined || given === "" || given === "0") continue;
    if (!/^-?\d+$/.test(given)) throw new Fault("invalid", `failed to parse ${name}: ${given}`);
    host[field] = Number(given);
  }
  for (const [name, field] of Object.entries(texts)) {
    const given = options[name];
    if (given !== undefined && given !== "") host[field] = given;
  }
  const hosts = csvFields(options["add-hosts"] ?? "").filter((each) => each !== "");
  if (hosts.length > 0) host.ExtraHosts = hosts.map(extraHost);
  const limits = csvFields(options["ulimit"] ?? "").filter((each) => each !== "");
  if (limits.length > 0) host.Ulimits = limits.map(ulimit);
  return host;
}

function networkOf(mode: string): string {
  if (mode === "" || mode === "default" || mode === "sandbox") return "default";
  if (mode === "host" || mode === "none") return mode;
  throw new Fault("invalid", `network mode ${JSON.stringify(mode)} not supported by buildkit`);
}

function extraHost(entry: string): string {
  const equals = entry.indexOf("=");
  if (equals <= 0) throw new Fault("invalid", `invalid host ${entry}`);
  return `${entry.slice(0, equals)}:${entry.slice(equals + 1)}`;
}

function ulimit(entry: string): { Name: string; Soft: number; Hard: number } {
  const [, name = "", soft = "", hard = soft] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(entry) ?? [];
  if (name === "") throw new Fault("invalid", `failed to parse ulimit: ${entry}`);
  return { Name: name, Soft: Number(soft), Hard: Number(hard) };
}
