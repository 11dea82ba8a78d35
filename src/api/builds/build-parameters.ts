/** Parameters of `POST /build`, as both versions read them. */
import * as v from "valibot";
import { type ApiRequest, flag, integer, text } from "#api/http/api-request.ts";
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

export interface BuildParameters {
  readonly remote: string;
  readonly dockerfile: string | undefined;
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string | null>> | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly cacheFrom: readonly string[];
  readonly target: string | undefined;
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly quiet: boolean;
  readonly remove: boolean;
  readonly platform: string | undefined;
  readonly networkMode: string | undefined;
  readonly host: HostConfig;
  readonly outputs: readonly BuildOutput[];
}

export interface BuildOutput {
  readonly Type: string;
  readonly Attrs: Readonly<Record<string, string>>;
}

/** @throws Fault `invalid` naming the parameter, for what cannot be read and for what Docker refuses on Linux. */
export function buildParameters(request: ApiRequest): BuildParameters {
  refuseUnsupported(request);
  const network = text(request, "networkmode");
  const outputs =
    request.version >= 40 ? jsonText(request, "outputs", "invalid outputs specified", outputList) : undefined;
  return {
    remote: text(request, "remote") ?? "",
    dockerfile: text(request, "dockerfile"),
    tags: request.query.getAll("t").filter((tag) => tag !== ""),
    buildArgs: jsonText(request, "buildargs", "error reading build args", textOrNull),
    labels: jsonText(request, "labels", "error reading labels", v.record(v.string(), v.string())),
    cacheFrom: jsonText(request, "cachefrom", "error reading cache-from", v.array(v.string())) ?? [],
    target: text(request, "target"),
    noCache: flag(request, "nocache"),
    pull: flag(request, "pull"),
    quiet: flag(request, "q"),
    remove: flag(request, "forcerm") || flag(request, "rm", true),
    platform: request.version >= 32 ? text(request, "platform") : undefined,
    networkMode: network === "default" ? undefined : network,
    host: limits(request),
    outputs: (outputs ?? []).map(({ Type, Attrs }) => ({ Type, Attrs: Attrs ?? {} })),
  };
}

/** `1` is the classic builder, `2` BuildKit. @throws Fault `invalid` for another one. */
export function builderVersion(request: ApiRequest): "1" | "2" {
  const version = text(request, "version") ?? "1";
  if (version === "1" || version === "2") return version;
  throw new Fault("invalid", `invalid version ${JSON.stringify(version)}`);
}

function refuseUnsupported(request: ApiRequest): void {
  if (flag(request, "squash")) throw new Fault("invalid", "squash is only supported with experimental mode");
  if (request.query.has("securityopt"))
    throw new Fault("invalid", "security options are not supported on linux");
  const isolation = text(request, "isolation") ?? "default";
  if (isolation !== "default")
    throw new Fault("invalid", `unsupported isolation: ${JSON.stringify(isolation)}`);
}

const textOrNull = v.record(v.string(), v.nullable(v.string()));
const outputList = v.array(
  v.object({ Type: v.string(), Attrs: v.nullish(v.record(v.string(), v.string())) }),
);
const ulimits = v.array(v.object({ Name: v.string(), Soft: v.number(), Hard: v.number() }));

/** Limits for the containers of RUN. */
function limits(request: ApiRequest): HostConfig {
  const host: HostConfig = {};
  const numbers = [
    ["Memory", "memory"],
    ["MemorySwap", "memswap"],
    ["CpuShares", "cpushares"],
    ["CpuPeriod", "cpuperiod"],
    ["CpuQuota", "cpuquota"],
    ["ShmSize", "shmsize"],
  ] as const;
  for (const [field, name] of numbers) {
    const value = integer(request, name);
    if (value !== undefined && value !== 0) host[field] = value;
  }
  const words = [
    ["CpusetCpus", "cpusetcpus"],
    ["CpusetMems", "cpusetmems"],
    ["CgroupParent", "cgroupparent"],
  ] as const;
  for (const [field, name] of words) {
    const value = text(request, name);
    if (value !== undefined) host[field] = value;
  }
  const hosts = request.query.getAll("extrahosts").filter((entry) => entry !== "");
  if (hosts.length > 0) host.ExtraHosts = hosts;
  const wanted = jsonText(request, "ulimits", "error reading ulimit settings", v.nullable(ulimits));
  if (wanted !== undefined && wanted !== null && wanted.length > 0) host.Ulimits = wanted;
  return host;
}

/** A query parameter that holds JSON; undefined when absent, empty or null. */
function jsonText<Schema extends v.GenericSchema>(
  request: ApiRequest,
  name: string,
  trouble: string,
  schema: Schema,
): v.InferOutput<Schema> | undefined {
  const given = text(request, name);
  if (given === undefined || given === "null") return undefined;
  try {
    return v.parse(schema, JSON.parse(given));
  } catch (cause) {
    throw new Fault("invalid", `${trouble}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
