/**
 * A container as `GET /containers/{id}/json` shows it.
 * Pure. Owns: the shape, by API version. Promises: every field dockerd writes, in its order.
 */

import type { ContainerDetail } from "#api/engine-face.ts";
import type { ContainerConfig, ContainerRecord, Ending, HostConfig, MountPoint } from "#spec/container.ts";
import type {
  ContainerInspect,
  ContainerNetworkSettings,
  ContainerState,
  DriverData,
  HealthInfo,
  MountPointInfo,
} from "#spec/docker-wire.ts";
import type { Health } from "#spec/health.ts";
import type { Healthcheck } from "#spec/image.ts";
import { endpointInfos, portMap } from "./container-network.ts";

/** What the record leaves to the machine. */
export interface InspectDefaults {
  readonly runtimeName: string;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  /** What AppArmor keeps containers to that ask for no profile; undefined where there is none. */
  readonly apparmorProfile: string | undefined;
}

export function containerInspect(
  detail: ContainerDetail,
  version: number,
  defaults: InspectDefaults,
  size?: { rw: number; rootFs: number },
): ContainerInspect {
  const { record, paths } = detail;
  const [path = "", ...args] = [...(record.config.Entrypoint ?? []), ...(record.config.Cmd ?? [])];
  return {
    Id: record.id,
    Created: record.created,
    Path: path,
    Args: args,
    State: stateInfo(record),
    Image: record.image.id,
    // As dockerd, which makes these files at the first start.
    ResolvConfPath: record.run === 0 ? "" : paths.resolvConf,
    HostnamePath: record.run === 0 ? "" : paths.hostname,
    HostsPath: record.run === 0 ? "" : paths.hosts,
    // Of a log that other programs may read.
    LogPath: record.run > 0 && record.host.LogConfig?.Type === "json-file" ? paths.log : "",
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: apparmorProfile(record, defaults),
    ExecIDs: detail.execIds.length === 0 ? null : [...detail.execIds],
    HostConfig: hostConfigInfo({ ...record.host, Links: detail.links && [...detail.links] }, defaults),
    GraphDriver: graphDriver(detail),
    ...(size !== undefined && { SizeRw: size.rw, SizeRootFs: size.rootFs }),
    Mounts: record.mounts.map(mountInfo),
    Config: configInfo(withMac(record)),
    NetworkSettings: networkSettings(detail, version),
  };
}

/** As dockerd: what was asked for until the first start, what it is kept to from then on. */
function apparmorProfile({ host, run }: ContainerRecord, defaults: InspectDefaults): string {
  const asked = host.SecurityOpt?.findLast((option) => /^apparmor[=:]/.test(option))?.slice(9) ?? "";
  if (run === 0) return asked;
  if (defaults.apparmorProfile === undefined) return "";
  return asked || (host.Privileged === true ? "unconfined" : defaults.apparmorProfile);
}

function stateInfo({ observed, ending, previous, restartAt }: ContainerRecord): ContainerState {
  const { status, health } = observed;
  return {
    Status: status,
    Running: status === "running" || status === "paused" || status === "restarting",
    Paused: status === "paused",
    Restarting: status === "restarting",
    OOMKilled: observed.oomKilled,
    Dead: status === "dead",
    Pid: observed.pid,
    ExitCode: observed.exitCode,
    Error: observed.error,
    StartedAt: observed.startedAt,
    FinishedAt: observed.finishedAt,
    ...(health !== undefined && { Health: healthInfo(health) }),
    ...endingInfo(ending),
    ...(previous !== undefined && {
      Previous: {
        ExitCode: previous.exitCode,
        OOMKilled: previous.oomKilled,
        FinishedAt: previous.finishedAt,
        ...endingInfo(previous.ending),
      },
    }),
    ...(restartAt !== undefined && { RestartAt: restartAt }),
  };
}

function endingInfo(ending: Ending | undefined): Pick<ContainerState, "Ending"> {
  return ending === undefined ? {} : { Ending: { By: ending.by, Signal: ending.signal, At: ending.at } };
}

function healthInfo({ status, failingStreak, log }: Health): HealthInfo {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ start, end, exitCode, output }) => ({
      Start: start,
      End: end,
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

function graphDriver({ rootfs }: ContainerDetail): DriverData {
  if (rootfs === undefined) return { Data: null, Name: "overlay2" };
  return {
    Data: {
      LowerDir: rootfs.lower.join(":"),
      MergedDir: rootfs.merged,
      UpperDir: rootfs.upper,
      WorkDir: rootfs.work,
    },
    Name: "overlay2",
  };
}

/** One mount of a container, in lists and details. */
export function mountInfo(mount: MountPoint): MountPointInfo {
  return {
    Type: mount.type,
    ...(mount.name !== undefined && { Name: mount.name }),
    Source: mount.type === "tmpfs" ? "" : mount.source,
    Destination: mount.destination,
    ...(mount.driver !== undefined && { Driver: mount.driver }),
    Mode: mount.type === "tmpfs" ? "" : mount.mode,
    RW: mount.readWrite,
    Propagation: mount.propagation,
  };
}

/** The address asked for the first network is shown where clients of before API 1.44 set it. */
function withMac({ config, host, endpoints }: ContainerRecord): ContainerConfig {
  const mac = config.MacAddress || endpoints[host.NetworkMode || "bridge"]?.MacAddress;
  return mac === undefined || mac === "" ? config : { ...config, MacAddress: mac };
}

/** Zero values filled in, optional fields left out when unset, as dockerd's encoder does. */
function configInfo(config: ContainerConfig): ContainerInspect["Config"] {
  const {
    ExposedPorts,
    Healthcheck,
    ArgsEscaped,
    NetworkDisabled,
    MacAddress,
    StopSignal,
    StopTimeout,
    Shell,
  } = config;
  return {
    Hostname: config.Hostname ?? "",
    Domainname: config.Domainname ?? "",
    User: config.User ?? "",
    AttachStdin: config.AttachStdin ?? false,
    AttachStdout: config.AttachStdout ?? false,
    AttachStderr: config.AttachStderr ?? false,
    ...(ExposedPorts !== undefined && Object.keys(ExposedPorts).length > 0 && { ExposedPorts }),
    Tty: config.Tty ?? false,
    OpenStdin: config.OpenStdin ?? false,
    StdinOnce: config.StdinOnce ?? false,
    Env: config.Env !== undefined && config.Env.length > 0 ? config.Env : null,
    Cmd: config.Cmd ?? null,
    ...(Healthcheck !== undefined && { Healthcheck: withoutEmptyTest(Healthcheck) }),
    ...(ArgsEscaped === true && { ArgsEscaped }),
    Image: config.Image ?? "",
    Volumes: Object.keys(config.Volumes ?? {}).length > 0 ? (config.Volumes ?? null) : null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    ...(NetworkDisabled === true && { NetworkDisabled }),
    ...(MacAddress !== undefined && MacAddress !== "" && { MacAddress }),
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? {},
    ...(StopSignal !== undefined && StopSignal !== "" && { StopSignal }),
    ...(StopTimeout !== undefined && StopTimeout !== null && { StopTimeout }),
    ...(Shell !== undefined && Shell.length > 0 && { Shell }),
  };
}

function withoutEmptyTest({ Test, ...rest }: Healthcheck): Healthcheck {
  return Test === undefined || Test.length === 0 ? rest : { Test, ...rest };
}

/** Fields of Windows containers that dockerd writes everywhere. */
interface WindowsFields {
  CpuCount: number;
  CpuPercent: number;
  IOMaximumIOps: number;
  IOMaximumBandwidth: number;
}

function hostConfigInfo(host: HostConfig, defaults: InspectDefaults): HostConfig & WindowsFields {
  const { Mounts, Tmpfs, Annotations, StorageOpt, Sysctls, Init } = host;
  return {
    Binds: host.Binds ?? null,
    ContainerIDFile: host.ContainerIDFile ?? "",
    LogConfig: { Type: host.LogConfig?.Type || "json-file", Config: host.LogConfig?.Config ?? {} },
    NetworkMode: host.NetworkMode || "bridge",
    PortBindings: host.PortBindings ?? null,
    RestartPolicy: {
      Name: host.RestartPolicy?.Name || "no",
      MaximumRetryCount: host.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    AutoRemove: host.AutoRemove ?? false,
    VolumeDriver: host.VolumeDriver ?? "",
    VolumesFrom: host.VolumesFrom ?? null,
    ConsoleSize: host.ConsoleSize ?? [0, 0],
    ...(filled(Annotations) && { Annotations }),
    CapAdd: host.CapAdd ?? null,
    CapDrop: host.CapDrop ?? null,
    CgroupnsMode: host.CgroupnsMode || "private",
    Dns: host.Dns ?? null,
    DnsOptions: host.DnsOptions ?? null,
    DnsSearch: host.DnsSearch ?? null,
    ExtraHosts: host.ExtraHosts ?? null,
    GroupAdd: host.GroupAdd ?? null,
    IpcMode: host.IpcMode || "private",
    Cgroup: host.Cgroup ?? "",
    Links: host.Links ?? null,
    OomScoreAdj: host.OomScoreAdj ?? 0,
    PidMode: host.PidMode ?? "",
    Privileged: host.Privileged ?? false,
    PublishAllPorts: host.PublishAllPorts ?? false,
    ReadonlyRootfs: host.ReadonlyRootfs ?? false,
    SecurityOpt: host.SecurityOpt ?? null,
    ...(filled(StorageOpt) && { StorageOpt }),
    ...(filled(Tmpfs) && { Tmpfs }),
    UTSMode: host.UTSMode ?? "",
    UsernsMode: host.UsernsMode ?? "",
    ShmSize: host.ShmSize || 67_108_864,
    ...(filled(Sysctls) && { Sysctls }),
    Runtime: host.Runtime || defaults.runtimeName,
    Isolation: host.Isolation ?? "",
    ...resourceInfo(host),
    ...(Mounts !== undefined && Mounts !== null && Mounts.length > 0 && { Mounts }),
    ...pathLists(host, defaults),
    ...(Init !== undefined && Init !== null && { Init }),
  };
}

function resourceInfo(host: HostConfig): HostConfig & WindowsFields {
  return {
    CpuShares: host.CpuShares ?? 0,
    Memory: host.Memory ?? 0,
    NanoCpus: host.NanoCpus ?? 0,
    CgroupParent: host.CgroupParent ?? "",
    BlkioWeight: host.BlkioWeight ?? 0,
    BlkioWeightDevice: host.BlkioWeightDevice ?? null,
    BlkioDeviceReadBps: host.BlkioDeviceReadBps ?? null,
    BlkioDeviceWriteBps: host.BlkioDeviceWriteBps ?? null,
    BlkioDeviceReadIOps: host.BlkioDeviceReadIOps ?? null,
    BlkioDeviceWriteIOps: host.BlkioDeviceWriteIOps ?? null,
    CpuPeriod: host.CpuPeriod ?? 0,
    CpuQuota: host.CpuQuota ?? 0,
    CpuRealtimePeriod: host.CpuRealtimePeriod ?? 0,
    CpuRealtimeRuntime: host.CpuRealtimeRuntime ?? 0,
    CpusetCpus: host.CpusetCpus ?? "",
    CpusetMems: host.CpusetMems ?? "",
    Devices: host.Devices?.map(deviceInfo) ?? null,
    DeviceCgroupRules: host.DeviceCgroupRules ?? null,
    DeviceRequests: host.DeviceRequests?.map(deviceRequestInfo) ?? null,
    MemoryReservation: host.MemoryReservation ?? 0,
    MemorySwap: host.MemorySwap ?? 0,
    MemorySwappiness: host.MemorySwappiness ?? null,
    OomKillDisable: host.OomKillDisable ?? null,
    PidsLimit: host.PidsLimit ?? null,
    Ulimits: host.Ulimits?.map(({ Name = "", Soft = 0, Hard = 0 }) => ({ Name, Hard, Soft })) ?? null,
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}

type Item<List> = List extends readonly (infer Each)[] ? Each : never;

function deviceInfo(device: Item<HostConfig["Devices"]>): Required<Item<HostConfig["Devices"]>> {
  const { PathOnHost = "", PathInContainer = "", CgroupPermissions = "" } = device;
  return { PathOnHost, PathInContainer, CgroupPermissions };
}

function deviceRequestInfo(
  request: Item<HostConfig["DeviceRequests"]>,
): Required<Item<HostConfig["DeviceRequests"]>> {
  const { Driver = "", Count = 0, DeviceIDs = null, Capabilities = null, Options = null } = request;
  return { Driver, Count, DeviceIDs, Capabilities, Options };
}

/** A privileged container hides and protects nothing. */
function pathLists(host: HostConfig, defaults: InspectDefaults): HostConfig {
  const open = host.Privileged === true || host.SecurityOpt?.includes("systempaths=unconfined") === true;
  return {
    MaskedPaths: host.MaskedPaths ?? (open ? null : [...defaults.maskedPaths]),
    ReadonlyPaths: host.ReadonlyPaths ?? (open ? null : [...defaults.readonlyPaths]),
  };
}

function filled(map: Readonly<Record<string, string>> | null | undefined): map is Record<string, string> {
  return map !== undefined && map !== null && Object.keys(map).length > 0;
}

function networkSettings(detail: ContainerDetail, version: number): ContainerNetworkSettings {
  const { record, sandbox } = detail;
  const networks = endpointInfos(detail, version);
  const { bridge } = networks;
  const joins = record.host.NetworkMode?.startsWith("container:") === true;
  return {
    Bridge: "",
    // Of its last run, as dockerd; the key leads to a namespace, where there is one.
    SandboxID: record.run === 0 || joins ? "" : record.id,
    SandboxKey: joins ? "" : (sandbox?.netnsPath ?? ""),
    Ports: portMap(detail),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? "",
    Gateway: bridge?.Gateway ?? "",
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? "",
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? "",
    MacAddress: bridge?.MacAddress ?? "",
    Networks: networks,
  };
}
