import type { ChainId, Digest } from "./digest.ts";
import { Fault } from "./fault.ts";
import type { Health } from "./health.ts";
import type { ImageRunConfig } from "./image.ts";

/** 64 lower-case hex characters. */
export type ContainerId = string & { readonly __brand: "ContainerId" };

/** @throws Fault `invalid` when `text` is not a full id. */
export function parseContainerId(text: string): ContainerId {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new Fault("invalid", `invalid container id ${JSON.stringify(text)}`);
  return text as ContainerId;
}

/**
 * Docker's `ContainerConfig` (Engine API 1.50), kept in Docker's own words because `inspect` must give it back as it
 * came. In a record it is already merged with the image's config.
 */
export interface ContainerConfig extends ImageRunConfig {
  Hostname?: string;
  Domainname?: string;
  AttachStdin?: boolean;
  AttachStdout?: boolean;
  AttachStderr?: boolean;
  Tty?: boolean;
  OpenStdin?: boolean;
  StdinOnce?: boolean;
  Image?: string;
  NetworkDisabled?: boolean;
  MacAddress?: string;
  /** Seconds. */
  StopTimeout?: number | null;
}

export interface PortBinding {
  HostIp?: string;
  /** Decimal, a range `low-high`, or empty for a free port. */
  HostPort?: string;
}

export interface RestartPolicy {
  /** `on-unhealthy`, which only wherry has, is `on-failure` for containers whose health check fails, too. */
  Name?: "" | "no" | "always" | "on-failure" | "unless-stopped" | "on-unhealthy";
  MaximumRetryCount?: number;
}

export interface DeviceMapping {
  PathOnHost?: string;
  PathInContainer?: string;
  /** Some of `r`, `w`, `m`. */
  CgroupPermissions?: string;
}

export interface Ulimit {
  Name?: string;
  Soft?: number;
  Hard?: number;
}

/** `HostConfig.Mounts[]`, the `--mount` form. */
export interface MountRequest {
  Type?: "bind" | "volume" | "tmpfs" | "image" | "npipe" | "cluster";
  Source?: string;
  Target?: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: {
    Propagation?: string;
    NonRecursive?: boolean;
    CreateMountpoint?: boolean;
    ReadOnlyNonRecursive?: boolean;
    ReadOnlyForceRecursive?: boolean;
    /** wherry's own. */
    IDMap?: string;
  };
  VolumeOptions?: {
    NoCopy?: boolean;
    Labels?: Record<string, string>;
    Subpath?: string;
    /** wherry's own. */
    IDMap?: string;
    DriverConfig?: { Name?: string; Options?: Record<string, string> };
  };
  ImageOptions?: { Subpath?: string };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number; Options?: string[][] };
}

export interface ThrottleDevice {
  Path?: string;
  Rate?: number;
}

/** Devices asked for by what they are; `Driver` `cdi` names them in `DeviceIDs`. */
export interface DeviceRequest {
  Driver?: string;
  /** -1 for all. */
  Count?: number;
  DeviceIDs?: string[] | null;
  /** Sets of which one must fit whole. */
  Capabilities?: string[][] | null;
  Options?: Record<string, string> | null;
}

/** Docker's `HostConfig` (Engine API 1.50). Sizes in bytes, `NanoCpus` in 1e-9 CPUs, periods and quotas in microseconds. */
export interface HostConfig {
  Binds?: string[] | null;
  Mounts?: MountRequest[] | null;
  Tmpfs?: Record<string, string> | null;
  VolumesFrom?: string[] | null;
  VolumeDriver?: string;
  ContainerIDFile?: string;
  LogConfig?: { Type?: string; Config?: Record<string, string> | null };
  NetworkMode?: string;
  PortBindings?: Record<string, PortBinding[] | null> | null;
  PublishAllPorts?: boolean;
  RestartPolicy?: RestartPolicy;
  AutoRemove?: boolean;
  ConsoleSize?: [number, number] | null;
  Annotations?: Record<string, string> | null;
  CapAdd?: string[] | null;
  CapDrop?: string[] | null;
  CgroupnsMode?: "" | "host" | "private";
  Cgroup?: string;
  Dns?: string[] | null;
  DnsOptions?: string[] | null;
  DnsSearch?: string[] | null;
  ExtraHosts?: string[] | null;
  GroupAdd?: string[] | null;
  IpcMode?: string;
  Links?: string[] | null;
  OomScoreAdj?: number;
  PidMode?: string;
  Privileged?: boolean;
  ReadonlyRootfs?: boolean;
  SecurityOpt?: string[] | null;
  StorageOpt?: Record<string, string> | null;
  UTSMode?: string;
  UsernsMode?: string;
  ShmSize?: number;
  Sysctls?: Record<string, string> | null;
  Runtime?: string;
  Isolation?: string;
  MaskedPaths?: string[] | null;
  ReadonlyPaths?: string[] | null;
  Init?: boolean | null;
  // Resources
  CpuShares?: number;
  Memory?: number;
  NanoCpus?: number;
  CgroupParent?: string;
  BlkioWeight?: number;
  BlkioWeightDevice?: { Path?: string; Weight?: number }[] | null;
  BlkioDeviceReadBps?: ThrottleDevice[] | null;
  BlkioDeviceWriteBps?: ThrottleDevice[] | null;
  BlkioDeviceReadIOps?: ThrottleDevice[] | null;
  BlkioDeviceWriteIOps?: ThrottleDevice[] | null;
  CpuPeriod?: number;
  CpuQuota?: number;
  CpuRealtimePeriod?: number;
  CpuRealtimeRuntime?: number;
  CpusetCpus?: string;
  CpusetMems?: string;
  Devices?: DeviceMapping[] | null;
  DeviceCgroupRules?: string[] | null;
  DeviceRequests?: DeviceRequest[] | null;
  MemoryReservation?: number;
  /** Memory plus swap; -1 for no limit. */
  MemorySwap?: number;
  MemorySwappiness?: number | null;
  OomKillDisable?: boolean | null;
  PidsLimit?: number | null;
  Ulimits?: Ulimit[] | null;
  KernelMemoryTCP?: number;
}

/** Fields of `HostConfig` that can change while a container lives (Engine API, `ContainerUpdate`). */
export type UpdatableField =
  | "BlkioWeight"
  | "BlkioWeightDevice"
  | "BlkioDeviceReadBps"
  | "BlkioDeviceWriteBps"
  | "BlkioDeviceReadIOps"
  | "BlkioDeviceWriteIOps"
  | "CpuShares"
  | "CpuPeriod"
  | "CpuQuota"
  | "CpuRealtimePeriod"
  | "CpuRealtimeRuntime"
  | "CpusetCpus"
  | "CpusetMems"
  | "Memory"
  | "MemoryReservation"
  | "MemorySwap"
  | "NanoCpus"
  | "PidsLimit"
  | "RestartPolicy";

/** One requested or actual attachment to a network (Engine API `EndpointSettings`). */
export interface EndpointSettings {
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] } | null;
  Links?: string[] | null;
  Aliases?: string[] | null;
  MacAddress?: string;
  DriverOpts?: Record<string, string> | null;
  GwPriority?: number;
  NetworkID?: string;
  EndpointID?: string;
  Gateway?: string;
  IPAddress?: string;
  IPPrefixLen?: number;
  IPv6Gateway?: string;
  GlobalIPv6Address?: string;
  GlobalIPv6PrefixLen?: number;
  DNSNames?: string[] | null;
}

/** The body of `POST /containers/create`, validated. */
export interface CreateRequest {
  readonly name?: string;
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  /** `os[/arch[/variant]]`. */
  readonly platform?: string;
}

/** A mount as decided at create time; what `inspect` calls `Mounts`. */
export interface MountPoint {
  readonly type: "bind" | "volume" | "tmpfs" | "image";
  /** Volume name; absent for a bind. */
  readonly name?: string;
  /** Path on the host. For a volume, its data directory. */
  readonly source: string;
  readonly destination: string;
  readonly driver?: string;
  /** Docker's mode words as given (`z`, `ro`, `nocopy`, `rslave` …). */
  readonly mode: string;
  readonly readWrite: boolean;
  readonly propagation: string;
  /** Copy the image's files at the destination into an empty volume at first use. */
  readonly copyUp: boolean;
  /** A bind source that is not there is made, a directory of root's. */
  readonly createSource?: boolean;
  /** An anonymous volume, removed with the container by `rm -v` and `--rm`. */
  readonly anonymous: boolean;
  /** What of the volume or image is shown; all of it when absent. */
  readonly subpath?: string;
  /** Whose files are shown as whose: `auto`, or ranges; see the volume room's `id-map.ts`. */
  readonly idMap?: string;
  /** False: without what is mounted below the source. */
  readonly recursive?: boolean;
  /** Whether what is mounted below a read-only source is read-only too; where the kernel can, unless it is `must`. */
  readonly readOnlyBelow?: "no" | "can" | "must";
  /** Of an image mount: what was meant when the container was made. */
  readonly image?: { readonly id: Digest; readonly chainId?: ChainId };
}

/** A mount as the runtime is given it: its source is there, and was looked at. Kept in no record. */
export interface ReadyMount extends MountPoint {
  /** What the mount of its source forbids: `ro`, `nosuid`, `nodev`, `noexec`. */
  readonly restrictions?: readonly string[];
  /** Its source is no directory: nothing can be mounted below it. */
  readonly single?: boolean;
}

export type ContainerStatus =
  | "created"
  | "running"
  | "paused"
  | "restarting"
  | "removing"
  | "exited"
  | "dead";

/** What the engine last saw. Written only by the supervisor's observations. Times are RFC 3339 with nanoseconds. */
export interface Observed {
  readonly status: ContainerStatus;
  /** Host pid of the container's first process; 0 when none. */
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Absent while it never ran, or has no check. */
  readonly health?: Health;
}

/** Who asked for the end of a container's run, and how. */
export interface Ending {
  /** `unhealthy`: its restart policy; `lost`: nobody, but the process was gone when the engine came back. */
  readonly by: "stop" | "kill" | "restart" | "remove" | "unhealthy" | "lost";
  /** The first one sent; 0 when none was. */
  readonly signal: number;
  readonly at: string;
}

/** Everything that outlives the engine about one container. Written before what it names is acquired. */
export interface ContainerRecord {
  readonly id: ContainerId;
  /** Without the leading slash. */
  readonly name: string;
  readonly created: string;
  readonly image: { readonly reference: string; readonly id: Digest; readonly chainId?: ChainId };
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  readonly mounts: readonly MountPoint[];
  /** What the user last asked for; written only by requests. */
  readonly desired: "stopped" | "running" | "removed";
  readonly observed: Observed;
  /** How often it was started; a new number is a new run. */
  readonly run: number;
  /** Restarts by policy since the last start by a user. */
  readonly restartCount: number;
  /** How long the policy waits before its next restart, in milliseconds; grows by doubling while runs stay short. */
  readonly restartDelayMs: number;
  /** When the policy restarts it; only while it waits for that. */
  readonly restartAt?: string | undefined;
  /** A user stopped it: `unless-stopped` and `always` must not bring it back while the engine lives. */
  readonly manuallyStopped: boolean;
  /** Of this run, or of the last one; absent while nobody asked, and when the process ended by itself. */
  readonly ending?: Ending | undefined;
  /** How the run before this one ended. */
  readonly previous?:
    | (Pick<Observed, "exitCode" | "oomKilled" | "finishedAt"> & { ending?: Ending })
    | undefined;
  /** A step of an image build: not listed, gone when the build or the engine is. */
  readonly purpose?: "build";
}

/** The zero of Docker's timestamps. */
export const zeroTime = "0001-01-01T00:00:00Z";
