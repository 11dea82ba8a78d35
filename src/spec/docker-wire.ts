/**
 * The Engine API's answers (1.50) as the wire carries them; what the api room renders and the client reads.
 * Pure. Owns: response shapes. Promises: Docker's field names, in the order dockerd writes them. Never: requests
 * (`#spec/container.ts` has those), schemas, behaviour. A field is optional where an engine may leave it out.
 */
import type { ContainerConfig, EndpointSettings, HostConfig, PortBinding } from "./container.ts";
import type { ManifestSummary } from "./docker-images.ts";
import type { Descriptor, Healthcheck, ImageRunConfig } from "./image.ts";

/** The body of every answer with a status of 400 or more. */
export interface ErrorMessage {
  message: string;
}

/** One published or exposed port in `GET /containers/json`. */
export interface PortSummary {
  IP?: string;
  PrivatePort: number;
  PublicPort?: number;
  Type: string;
}

/** One entry of `Mounts` in container lists and details. */
export interface MountPointInfo {
  Type?: string;
  Name?: string;
  Source: string;
  Destination: string;
  Driver?: string;
  Mode: string;
  RW: boolean;
  Propagation: string;
}

/** One entry of `GET /containers/json`. `Created` in seconds since the epoch; sizes in bytes, only when asked for. */
export interface ContainerSummary {
  Id: string;
  /** Each with its leading slash. */
  Names: string[];
  Image: string;
  ImageID: string;
  Command: string;
  Created: number;
  Ports: PortSummary[];
  SizeRw?: number;
  SizeRootFs?: number;
  Labels: Record<string, string>;
  State: string;
  /** For people: `Up 5 minutes`, `Exited (0) 2 hours ago`. */
  Status: string;
  HostConfig: { NetworkMode?: string; Annotations?: Record<string, string> };
  NetworkSettings: { Networks: Record<string, EndpointInfo> } | null;
  Mounts: MountPointInfo[];
}

/** An endpoint as answered: every field of `EndpointSettings` present, absent ones null or empty. */
export interface EndpointInfo extends EndpointSettings {
  IPAMConfig: NonNullable<EndpointSettings["IPAMConfig"]> | null;
  Links: string[] | null;
  Aliases: string[] | null;
  MacAddress: string;
  DriverOpts: Record<string, string> | null;
  NetworkID: string;
  EndpointID: string;
  Gateway: string;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  DNSNames: string[] | null;
}

export interface HealthResult {
  Start: string;
  End: string;
  ExitCode: number;
  Output: string;
}

export interface HealthInfo {
  Status: string;
  FailingStreak: number;
  Log: HealthResult[] | null;
}

/** `State` of a container's detail. Times are RFC 3339 with nanoseconds. */
export interface ContainerState {
  Status: string;
  Running: boolean;
  Paused: boolean;
  Restarting: boolean;
  OOMKilled: boolean;
  Dead: boolean;
  Pid: number;
  ExitCode: number;
  Error: string;
  StartedAt: string;
  FinishedAt: string;
  Health?: HealthInfo;
  /** wherry's own: who asked for the end of this run or the last. */
  Ending?: EndingInfo;
  /** wherry's own: how the run before this one ended. */
  Previous?: { ExitCode: number; OOMKilled: boolean; FinishedAt: string; Ending?: EndingInfo };
  /** wherry's own: when the restart policy acts next. */
  RestartAt?: string;
}

export interface EndingInfo {
  By: "stop" | "kill" | "restart" | "remove" | "unhealthy" | "lost";
  /** The first one sent; 0 for none. */
  Signal: number;
  At: string;
}

export interface ContainerNetworkSettings {
  Bridge: string;
  SandboxID: string;
  SandboxKey: string;
  Ports: Record<string, PortBinding[] | null>;
  HairpinMode: boolean;
  LinkLocalIPv6Address: string;
  LinkLocalIPv6PrefixLen: number;
  SecondaryIPAddresses: { Addr: string; PrefixLen: number }[] | null;
  SecondaryIPv6Addresses: { Addr: string; PrefixLen: number }[] | null;
  EndpointID: string;
  Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  MacAddress: string;
  Networks: Record<string, EndpointInfo>;
}

export interface DriverData {
  Data: Record<string, string> | null;
  Name: string;
}

/** `GET /containers/{id}/json`. */
export interface ContainerInspect {
  Id: string;
  Created: string;
  Path: string;
  Args: string[];
  State: ContainerState;
  Image: string;
  ResolvConfPath: string;
  HostnamePath: string;
  HostsPath: string;
  LogPath: string;
  /** With its leading slash. */
  Name: string;
  RestartCount: number;
  Driver: string;
  Platform: string;
  MountLabel: string;
  ProcessLabel: string;
  AppArmorProfile: string;
  ExecIDs: string[] | null;
  HostConfig: HostConfig;
  GraphDriver: DriverData;
  /** Bytes; only with `?size=1`. */
  SizeRw?: number;
  SizeRootFs?: number;
  Mounts: MountPointInfo[];
  Config: Omit<ContainerConfig, "Env"> & { Env: string[] | null };
  NetworkSettings: ContainerNetworkSettings;
}

/** `POST /containers/create`, status 201. */
/** `POST /containers/{id}/update`. */
export interface UpdateAnswer {
  Warnings: string[] | null;
}

export interface ContainerCreated {
  Id: string;
  Warnings: string[] | null;
}

/** `POST /containers/{id}/wait`. `Error` says why the engine could not wait to the end. */
export interface WaitAnswer {
  StatusCode: number;
  Error?: { Message: string } | null;
}

/** `POST /containers/{id}/exec` and others that answer with an id only. */
export interface IdAnswer {
  Id: string;
}

/** `GET /exec/{id}/json`. */
export interface ExecInspect {
  ID: string;
  Running: boolean;
  /** Null while it runs. */
  ExitCode: number | null;
  ProcessConfig: {
    tty: boolean;
    entrypoint: string;
    arguments: string[];
    privileged?: boolean;
    user?: string;
  };
  OpenStdin: boolean;
  OpenStderr: boolean;
  OpenStdout: boolean;
  CanRemove: boolean;
  ContainerID: string;
  DetachKeys: string;
  Pid: number;
}

/** One entry of `GET /images/json`. `Created` in seconds since the epoch, sizes in bytes, -1 where not counted. */
export interface ImageSummary {
  Id: string;
  ParentId: string;
  RepoTags: string[] | null;
  RepoDigests: string[] | null;
  Created: number;
  Size: number;
  SharedSize: number;
  /** Until API 1.43. */
  VirtualSize?: number;
  Labels: Record<string, string> | null;
  Containers: number;
  /** With `manifests=1`, since API 1.47. */
  Manifests?: ManifestSummary[];
}

/** `GET /images/{name}/json`. `Config` is the image's run config with Docker's older container fields for older APIs. */
export interface ImageInspect {
  Id: string;
  RepoTags: string[];
  RepoDigests: string[];
  Parent: string;
  Comment: string;
  Created?: string;
  DockerVersion: string;
  Author: string;
  Config: (ImageRunConfig & Partial<Omit<ContainerConfig, keyof ImageRunConfig>>) | null;
  Architecture: string;
  Variant?: string;
  Os: string;
  OsVersion?: string;
  Size: number;
  /** Until API 1.43. */
  VirtualSize?: number;
  GraphDriver: DriverData;
  RootFS: { Type: string; Layers?: string[] };
  Metadata: { LastTagTime?: string };
  /** Since API 1.48. */
  Descriptor?: Descriptor;
  /** With `manifests=1`, since API 1.48. */
  Manifests?: ManifestSummary[];
}

/** One entry of `GET /images/{name}/history`, newest first. `Created` in seconds since the epoch. */
export interface HistoryItem {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: string[] | null;
  Size: number;
  Comment: string;
}

/** One entry of `DELETE /images/{name}`. */
export type ImageDeleted = { Untagged: string } | { Deleted: string };

/** `GET /version`. */
export interface VersionInfo {
  Platform: { Name: string };
  Components?: { Name: string; Version: string; Details?: Record<string, string> | null }[];
  Version: string;
  ApiVersion: string;
  MinAPIVersion: string;
  GitCommit: string;
  GoVersion: string;
  Os: string;
  Arch: string;
  KernelVersion?: string;
  Experimental?: boolean;
  BuildTime?: string;
}

export interface RegistryIndex {
  Name: string;
  Mirrors: string[];
  Secure: boolean;
  Official: boolean;
}

export interface CommitInfo {
  ID: string;
  Expected?: string;
}

/** `GET /info`. `MemTotal` in bytes. */
export interface SystemInfo {
  ID: string;
  Containers: number;
  ContainersRunning: number;
  ContainersPaused: number;
  ContainersStopped: number;
  Images: number;
  Driver: string;
  DriverStatus: [string, string][];
  SystemStatus?: [string, string][];
  Plugins: { Volume: string[]; Network: string[]; Authorization: string[] | null; Log: string[] };
  MemoryLimit: boolean;
  SwapLimit: boolean;
  KernelMemoryTCP?: boolean;
  CpuCfsPeriod: boolean;
  CpuCfsQuota: boolean;
  CPUShares: boolean;
  CPUSet: boolean;
  PidsLimit: boolean;
  IPv4Forwarding: boolean;
  BridgeNfIptables?: boolean;
  BridgeNfIp6tables?: boolean;
  Debug: boolean;
  NFd: number;
  OomKillDisable: boolean;
  NGoroutines: number;
  SystemTime: string;
  LoggingDriver: string;
  CgroupDriver: string;
  CgroupVersion?: string;
  NEventsListener: number;
  KernelVersion: string;
  OperatingSystem: string;
  OSVersion: string;
  OSType: string;
  Architecture: string;
  IndexServerAddress: string;
  RegistryConfig: {
    InsecureRegistryCIDRs: string[];
    IndexConfigs: Record<string, RegistryIndex>;
    Mirrors: string[] | null;
  } | null;
  NCPU: number;
  MemTotal: number;
  GenericResources: unknown[] | null;
  DockerRootDir: string;
  HttpProxy: string;
  HttpsProxy: string;
  NoProxy: string;
  Name: string;
  Labels: string[] | null;
  ExperimentalBuild: boolean;
  ServerVersion: string;
  Runtimes: Record<string, { path: string; runtimeArgs?: string[]; status?: Record<string, string> }>;
  DefaultRuntime: string;
  Swarm: SwarmInfo;
  LiveRestoreEnabled: boolean;
  Isolation: string;
  InitBinary: string;
  ContainerdCommit: CommitInfo;
  RuncCommit: CommitInfo;
  InitCommit: CommitInfo;
  SecurityOptions: string[];
  ProductLicense?: string;
  DefaultAddressPools?: { Base: string; Size: number }[];
  FirewallBackend?: { Driver: string; Info?: [string, string][] };
  CDISpecDirs?: string[];
  DiscoveredDevices?: { Source: string; ID: string }[];
  Warnings: string[] | null;
}

export interface SwarmInfo {
  NodeID: string;
  NodeAddr: string;
  LocalNodeState: string;
  ControlAvailable: boolean;
  Error: string;
  RemoteManagers: { NodeID: string; Addr: string }[] | null;
  Nodes?: number;
  Managers?: number;
}

/** One line of `GET /events`. `status`, `id` and `from` repeat the actor for API versions before 1.52. */
export interface EventMessage {
  status?: string;
  id?: string;
  from?: string;
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope?: string;
  /** Seconds since the epoch. */
  time: number;
  /** Nanoseconds since the epoch; beyond what a JSON number keeps exactly, so readers take the last digits with care. */
  timeNano: number;
}

/** One line of a progress stream (`/build`, `/images/create`, `/images/load`, `/images/{name}/push`). */
export interface JsonMessage {
  stream?: string;
  status?: string;
  progressDetail?: {
    current?: number;
    total?: number;
    start?: number;
    hidecounts?: boolean;
    units?: string;
  };
  /** The rendered bar, for old clients. */
  progress?: string;
  id?: string;
  from?: string;
  /** Always beside `errorDetail`, for old clients. */
  error?: string;
  errorDetail?: { code?: number; message: string };
  /** In a build: `{ID}` of the image. */
  aux?: Record<string, unknown>;
}

export interface IpamConfig {
  Subnet?: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

/** One entry of `GET /networks`, and `GET /networks/{id}`, which also fills `Containers`. */
export interface NetworkInspect {
  Name: string;
  Id: string;
  Created: string;
  Scope: string;
  Driver: string;
  EnableIPv4?: boolean;
  EnableIPv6: boolean;
  IPAM: { Driver: string; Options: Record<string, string> | null; Config: IpamConfig[] | null };
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  ConfigFrom: { Network: string };
  ConfigOnly: boolean;
  Containers: Record<
    string,
    { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }
  >;
  Options: Record<string, string>;
  Labels: Record<string, string>;
  /** wherry's own: what of the host is in its way. */
  Warnings?: string[];
}

/** `GET /volumes/{name}` and the entries of `GET /volumes`. */
export interface VolumeInspect {
  CreatedAt?: string;
  Driver: string;
  Labels: Record<string, string> | null;
  Mountpoint: string;
  Name: string;
  Options: Record<string, string> | null;
  Scope: string;
  Status?: Record<string, unknown>;
  UsageData?: { RefCount: number; Size: number };
}

/** `GET /volumes`. */
export interface VolumeList {
  Volumes: VolumeInspect[] | null;
  Warnings: string[] | null;
}

/** The headers of `GET` and `HEAD /_ping`, as a client understands them. */
export interface PingAnswer {
  /** The newest API version of the engine; empty when it does not say. */
  apiVersion: string;
  osType: string;
  experimental: boolean;
  builderVersion: string;
  swarm: string;
}

/** The healthcheck of a create request in Docker's words; durations in nanoseconds. */
export type HealthcheckConfig = Healthcheck;
