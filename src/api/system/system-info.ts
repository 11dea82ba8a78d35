/** `GET /info`. */

import type { ApiParts } from "#api/api-parts.ts";
import type { SystemFacts } from "#api/engine-face.ts";
import type { ApiRequest } from "#api/http/api-request.ts";
import type { SystemInfo } from "#spec/docker-wire.ts";
import { logDrivers } from "#telemetry/log-config.ts";
import { registryInfo } from "./registry-info.ts";

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

export function systemInfo(parts: ApiParts, { version }: ApiRequest): SystemInfo & LegacyInfo {
  const facts = parts.engine.system.facts();
  const runtimeCommit = (id: string): { ID: string; Expected?: string } => ({
    ID: id,
    ...(version < 49 && { Expected: id }),
  });
  return {
    ID: facts.id,
    ...counts(parts),
    Driver: "overlay2",
    DriverStatus: driverStatus(facts),
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
    NCPU: facts.cpus,
    MemTotal: facts.memoryBytes,
    GenericResources: null,
    DockerRootDir: facts.dataRoot,
    ...registryInfo(parts.registry),
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
    SecurityOptions: securityOptions(facts),
    ...(version >= 49 && { FirewallBackend: { Driver: "nftables" } }),
    CDISpecDirs: [...facts.cdiDirectories],
    Warnings: null,
  };
}

function driverStatus({ fileSystem, limitsRootSizes }: SystemFacts): [string, string][] {
  return [
    ["Backing Filesystem", fileSystem],
    ["Supports d_type", "true"],
    ["Using metacopy", "false"],
    ["Native Overlay Diff", "true"],
    ["userxattr", "false"],
    ...(limitsRootSizes ? ([["Project Quotas", "true"]] as [string, string][]) : []),
  ];
}

function securityOptions({ apparmorProfile, cgroupVersion }: SystemFacts): string[] {
  return [
    ...(apparmorProfile === undefined ? [] : ["name=apparmor"]),
    "name=seccomp,profile=builtin",
    ...(cgroupVersion === "2" ? ["name=cgroupns"] : []),
  ];
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
