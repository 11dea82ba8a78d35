/** The engine itself: ping, version, info. */
import type { SystemInfo, VersionInfo } from "#spec/docker-wire.ts";
import { logDrivers } from "#telemetry/log-config.ts";
import type { ApiParts } from "./api-parts.ts";
import type { ApiRequest } from "./api-request.ts";
import { formatVersion, newestVersion, oldestVersion } from "./api-version.ts";
import type { SystemFacts } from "./engine-face.ts";
import { emptyReply, jsonReply, type Reply } from "./reply.ts";
import { type Route, route } from "./router.ts";

export function systemRoutes(parts: ApiParts): Route[] {
  return [
    route("GET", "/_ping", () => ping("OK")),
    route("HEAD", "/_ping", () => ping("")),
    route("OPTIONS", "/{path}", () => emptyReply(200)),
    route("GET", "/version", () => jsonReply(versionInfo(parts, parts.engine.system.facts()))),
    route("GET", "/info", (request) => jsonReply(systemInfo(parts, request))),
  ];
}

function ping(body: string): Reply {
  return {
    kind: "fixed",
    status: 200,
    headers: {
      "Cache-Control": "no-cache, no-store, must-revalidate",
      Pragma: "no-cache",
      "Builder-Version": "1",
      Swarm: "inactive",
      "Content-Type": "text/plain; charset=utf-8",
    },
    body,
  };
}

function architecture(machine: string): string {
  const names: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64", armv7l: "arm" };
  return names[machine] ?? machine;
}

function versionInfo(parts: ApiParts, facts: SystemFacts): VersionInfo {
  const { version, gitCommit, buildTime } = parts;
  const arch = architecture(facts.machine);
  const about = {
    ApiVersion: formatVersion(newestVersion),
    MinAPIVersion: formatVersion(oldestVersion),
    GitCommit: gitCommit,
    GoVersion: `bun${Bun.version}`,
    Os: "linux",
    Arch: arch,
    KernelVersion: facts.kernelVersion,
    BuildTime: buildTime,
  };
  return {
    Platform: { Name: "Wherry" },
    Components: [
      { Name: "Engine", Version: version, Details: { ...about, Experimental: "false" } },
      { Name: facts.runtimeName, Version: facts.runtimeVersion, Details: { GitCommit: "" } },
      { Name: "conmon", Version: facts.conmonVersion, Details: { GitCommit: "" } },
    ],
    Version: version,
    ApiVersion: about.ApiVersion,
    MinAPIVersion: about.MinAPIVersion,
    GitCommit: gitCommit,
    GoVersion: about.GoVersion,
    Os: about.Os,
    Arch: arch,
    KernelVersion: facts.kernelVersion,
    BuildTime: buildTime,
  };
}

function counts({
  engine,
}: ApiParts): Pick<
  SystemInfo,
  "Containers" | "ContainersRunning" | "ContainersPaused" | "ContainersStopped" | "Images"
> {
  const states = engine.containers.list({ all: true, filters: {} }).map(({ observed }) => observed.status);
  const running = states.filter((status) => status === "running" || status === "restarting").length;
  const paused = states.filter((status) => status === "paused").length;
  return {
    Containers: states.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: states.length - running - paused,
    Images: engine.images.list({ all: false, filters: {} }).length,
  };
}

/** Fields of one age only. */
interface LegacyInfo {
  BridgeNfIptables?: boolean;
  BridgeNfIp6tables?: boolean;
}

function systemInfo(parts: ApiParts, { version }: ApiRequest): SystemInfo & LegacyInfo {
  const facts = parts.engine.system.facts();
  const runtimeCommit = (id: string): { ID: string; Expected?: string } => ({
    ID: id,
    ...(version < 49 && { Expected: id }),
  });
  return {
    ID: facts.id,
    ...counts(parts),
    Driver: "overlay2",
    DriverStatus: [
      ["Supports d_type", "true"],
      ["Native Overlay Diff", "true"],
    ],
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "null"],
      Authorization: null,
      Log: [...logDrivers],
    },
    ...limitSupport(facts),
    IPv4Forwarding: true,
    ...(version < 50 && { BridgeNfIptables: false, BridgeNfIp6tables: false }),
    Debug: false,
    NFd: 0,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: facts.logConfig.Type,
    CgroupDriver: "cgroupfs",
    CgroupVersion: facts.cgroupVersion,
    NEventsListener: 0,
    KernelVersion: facts.kernelVersion,
    OperatingSystem: facts.operatingSystem,
    OSVersion: facts.osVersion,
    OSType: "linux",
    Architecture: facts.machine,
    IndexServerAddress: "",
    RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: null },
    NCPU: facts.cpus,
    MemTotal: facts.memoryBytes,
    GenericResources: null,
    DockerRootDir: facts.dataRoot,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: facts.hostname,
    Labels: [...facts.labels],
    ExperimentalBuild: false,
    ServerVersion: parts.version,
    Runtimes: Object.fromEntries(facts.runtimes.map((name) => [name, { path: name }])),
    DefaultRuntime: facts.runtimeName,
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "docker-init",
    ContainerdCommit: runtimeCommit(""),
    RuncCommit: runtimeCommit(facts.runtimeVersion),
    InitCommit: runtimeCommit(""),
    SecurityOptions: [
      "name=seccomp,profile=builtin",
      ...(facts.cgroupVersion === "2" ? ["name=cgroupns"] : []),
    ],
    ...(version >= 49 && { FirewallBackend: { Driver: "nftables" } }),
    CDISpecDirs: [...facts.cdiDirectories],
    Warnings: null,
  };
}

function limitSupport({
  limits,
}: SystemFacts): Pick<
  SystemInfo,
  | "MemoryLimit"
  | "SwapLimit"
  | "CpuCfsPeriod"
  | "CpuCfsQuota"
  | "CPUShares"
  | "CPUSet"
  | "PidsLimit"
  | "OomKillDisable"
> {
  return {
    MemoryLimit: limits.memory,
    SwapLimit: limits.swap,
    CpuCfsPeriod: limits.cpuQuota,
    CpuCfsQuota: limits.cpuQuota,
    CPUShares: limits.cpuShares,
    CPUSet: limits.cpuset,
    PidsLimit: limits.pids,
    OomKillDisable: limits.oomKillDisable,
  };
}
