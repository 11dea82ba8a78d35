/**
 * What dockerd fills in when a container is created: the part of `HostConfig` that clients leave to the engine.
 * Pure. Owns: defaults, by API version. Never: ranges, refusals.
 */
import { posix } from "node:path";
import type { ContainerConfig, CreateRequest, EndpointSettings, HostConfig } from "#spec/container.ts";
import type { CreateBody } from "#spec/docker-create.ts";
import { Fault } from "#spec/fault.ts";
import type { MachineLimits } from "#spec/machine-limits.ts";
import { type LogConfig, mergeLogConfig } from "#telemetry/log-config.ts";

/** What defaults depend on besides the request. */
export interface HostFacts {
  /** `2` where the machine has cgroup v2 alone. */
  readonly cgroupVersion: "1" | "2";
  readonly cpus: number;
  readonly limits: MachineLimits;
  readonly limitsRootSizes: boolean;
  readonly runtimeName: string;
  readonly runtimes: readonly string[];
  /** What containers get that ask for no driver of logs. */
  readonly logConfig: LogConfig;
}

const shmBytes = 64 * 1024 * 1024;

/** Parts of a create request with defaults filled in, as `inspect` gives them back. */
export function withDefaults(
  body: Omit<CreateBody, "HostConfig"> & { readonly HostConfig?: HostConfig },
  version: number,
  facts: HostFacts,
): Pick<CreateRequest, "config" | "host" | "endpoints"> & { warnings: string[] } {
  const { HostConfig: given = {}, NetworkingConfig: networking, ...config } = body;
  if (version < 44 && config.Healthcheck !== undefined) {
    const { StartInterval: _, ...known } = config.Healthcheck;
    config.Healthcheck = known;
  }
  if (config.WorkingDir?.startsWith("/")) config.WorkingDir = posix.resolve(config.WorkingDir);
  const networkMode = effectiveNetworkMode(given.NetworkMode);
  const host = hostDefaults(forVersion(given, version), networkMode, facts);
  const endpoints = namedEndpoints(networking?.EndpointsConfig ?? {}, networkMode);
  if (version < 44 && Object.keys(endpoints).length > 1)
    throw new Fault(
      "invalid",
      `Container cannot be created with multiple network endpoints: ${Object.keys(endpoints).join(", ")}`,
    );
  const { warnings, endpoints: placed } = placeMacAddress(config, networkMode, endpoints, version);
  return { config, host, endpoints: placed, warnings };
}

function effectiveNetworkMode(mode: string | undefined): string {
  return mode === undefined || mode === "" || mode === "default" ? "bridge" : mode;
}

/** Drops what the version did not know, and gives it what it took for granted. */
function forVersion(host: HostConfig, version: number): HostConfig {
  const older: HostConfig = { ...host };
  if (version < 40 && !older.IpcMode) older.IpcMode = "shareable";
  if (version < 42) delete older.ConsoleSize;
  if (version < 43) delete older.Annotations;
  if (version < 40) delete older.PidsLimit;
  return older;
}

function hostDefaults(host: HostConfig, networkMode: string, facts: HostFacts): HostConfig {
  const memory = host.Memory ?? 0;
  const swap = host.MemorySwap ?? 0;
  const swappiness = host.MemorySwappiness ?? -1;
  const filled: HostConfig = {
    ...host,
    NetworkMode: networkMode,
    LogConfig: mergeLogConfig(host.LogConfig, facts.logConfig),
    RestartPolicy: {
      Name: host.RestartPolicy?.Name || "no",
      MaximumRetryCount: host.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    CgroupnsMode: host.CgroupnsMode || (facts.cgroupVersion === "2" ? "private" : "host"),
    IpcMode: host.IpcMode || "private",
    ShmSize: host.ShmSize || shmBytes,
    MemorySwap: memory > 0 && swap === 0 ? memory * 2 : swap,
    ...(host.PortBindings && { PortBindings: filledBindings(host.PortBindings) }),
    Runtime: host.Runtime || facts.runtimeName,
    ...(facts.limits.oomKillDisable && { OomKillDisable: host.OomKillDisable ?? false }),
  };
  if (unlabelled(host)) filled.SecurityOpt = [...(host.SecurityOpt ?? []), "label=disable"];
  if (swappiness === -1) delete filled.MemorySwappiness;
  if ((host.PidsLimit ?? 0) <= 0) delete filled.PidsLimit;
  return filled;
}

/** What shares so much with the host has no label of its own, and dockerd says so. */
function unlabelled({ IpcMode, PidMode, Privileged, SecurityOpt }: HostConfig): boolean {
  const asked = SecurityOpt?.some((option) => option.startsWith("label")) === true;
  return !asked && (IpcMode === "host" || PidMode === "host" || Privileged === true);
}

function filledBindings(
  bindings: NonNullable<HostConfig["PortBindings"]>,
): NonNullable<HostConfig["PortBindings"]> {
  return Object.fromEntries(
    Object.entries(bindings).map(([port, list]) => [
      port,
      list?.map(({ HostIp = "", HostPort = "" }) => ({ HostIp, HostPort })) ?? null,
    ]),
  );
}

function namedEndpoints(
  endpoints: Readonly<Record<string, EndpointSettings>>,
  networkMode: string,
): Record<string, EndpointSettings> {
  return Object.fromEntries(
    Object.entries(endpoints).map(([name, settings]) => [name === "default" ? networkMode : name, settings]),
  );
}

/** Until 1.43 the address belonged to the container; since 1.44 to its endpoint, the old field still being read. */
function placeMacAddress(
  config: ContainerConfig,
  networkMode: string,
  endpoints: Readonly<Record<string, EndpointSettings>>,
  version: number,
): { endpoints: Record<string, EndpointSettings>; warnings: string[] } {
  const address = config.MacAddress ?? "";
  if (version < 44) {
    const kept = Object.fromEntries(
      Object.entries(endpoints).map(([name, { MacAddress: _ignored, ...settings }]) => [name, settings]),
    );
    if (address === "") return { endpoints: kept, warnings: [] };
    if (networkMode === "host" || networkMode === "none" || networkMode.startsWith("container:"))
      throw new Fault("invalid", "conflicting options: mac-address and the network mode");
    const [name = networkMode] = Object.keys(kept);
    return { endpoints: { ...kept, [name]: { ...kept[name], MacAddress: address } }, warnings: [] };
  }
  if (address === "") return { endpoints: { ...endpoints }, warnings: [] };
  const warnings = [
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
  ];
  const main = endpoints[networkMode];
  if (main?.MacAddress !== undefined && main.MacAddress !== "" && main.MacAddress !== address)
    throw new Fault(
      "invalid",
      "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
    );
  return { endpoints: { ...endpoints, [networkMode]: { ...main, MacAddress: address } }, warnings };
}
