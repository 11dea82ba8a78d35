/**
 * The body of `POST /containers/create` as a schema.
 * Pure. Owns: which fields are read, and their types. Promises: `ContainerConfig`, `HostConfig` and `EndpointSettings`
 * of `#spec/container.ts` and nothing else. Never: defaults, ranges, or what the engine can do.
 */
import * as v from "valibot";
import type {
  ContainerConfig,
  EndpointSettings,
  HostConfig,
  MountRequest,
  RestartPolicy,
} from "./container.ts";
import {
  fields,
  flag,
  healthcheck,
  integer,
  keySet,
  maybe,
  text,
  textMap,
  texts,
  words,
} from "./docker-json.ts";

const config = {
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: keySet,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  Env: texts,
  Cmd: words,
  Healthcheck: maybe(healthcheck),
  ArgsEscaped: flag,
  Image: text,
  Volumes: keySet,
  WorkingDir: text,
  Entrypoint: words,
  NetworkDisabled: flag,
  MacAddress: text,
  OnBuild: texts,
  Labels: textMap,
  StopSignal: text,
  StopTimeout: integer,
  Shell: words,
} satisfies Schemas<ContainerConfig>;

/** The body of `POST /commit`; clients without one send `null`. */
export const commitBody = v.nullable(fields(config));

const portBinding = fields({
  HostIp: text,
  HostPort: maybe(
    v.union([
      v.string(),
      v.pipe(
        v.number(),
        v.transform((port) => String(port)),
      ),
    ]),
  ),
});
const throttles = maybe(v.array(fields({ Path: text, Rate: integer })));

const mount = fields({
  // Any text: which ones there are is refused in dockerd's words.
  Type: maybe(v.custom<NonNullable<MountRequest["Type"]>>((type) => typeof type === "string")),
  Source: text,
  Target: text,
  ReadOnly: flag,
  Consistency: text,
  BindOptions: maybe(
    fields({
      Propagation: text,
      NonRecursive: flag,
      CreateMountpoint: flag,
      ReadOnlyNonRecursive: flag,
      ReadOnlyForceRecursive: flag,
      IDMap: text,
    }),
  ),
  VolumeOptions: maybe(
    fields({
      NoCopy: flag,
      Labels: textMap,
      Subpath: text,
      IDMap: text,
      DriverConfig: maybe(fields({ Name: text, Options: textMap })),
    }),
  ),
  ImageOptions: maybe(fields({ Subpath: text })),
  TmpfsOptions: maybe(
    fields({ SizeBytes: integer, Mode: integer, Options: maybe(v.array(v.array(v.string()))) }),
  ),
});

const deviceRequest = fields({
  Driver: text,
  Count: integer,
  DeviceIDs: texts,
  Capabilities: maybe(v.array(v.array(v.string()))),
  Options: textMap,
});

const resources = {
  CpuShares: integer,
  Memory: integer,
  NanoCpus: integer,
  CgroupParent: text,
  BlkioWeight: integer,
  BlkioWeightDevice: maybe(v.array(fields({ Path: text, Weight: integer }))),
  BlkioDeviceReadBps: throttles,
  BlkioDeviceWriteBps: throttles,
  BlkioDeviceReadIOps: throttles,
  BlkioDeviceWriteIOps: throttles,
  CpuPeriod: integer,
  CpuQuota: integer,
  CpuRealtimePeriod: integer,
  CpuRealtimeRuntime: integer,
  CpusetCpus: text,
  CpusetMems: text,
  Devices: maybe(v.array(fields({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text }))),
  DeviceCgroupRules: texts,
  DeviceRequests: maybe(v.array(deviceRequest)),
  MemoryReservation: integer,
  MemorySwap: integer,
  MemorySwappiness: integer,
  OomKillDisable: flag,
  PidsLimit: integer,
  Ulimits: maybe(v.array(fields({ Name: text, Soft: integer, Hard: integer }))),
  KernelMemoryTCP: integer,
} satisfies Partial<Schemas<HostConfig>>;

const restartPolicy = maybe(
  fields({
    // Any text: which ones there are is refused in dockerd's words.
    Name: maybe(v.custom<NonNullable<RestartPolicy["Name"]>>((name) => typeof name === "string")),
    MaximumRetryCount: integer,
  }),
);

const portMap = maybe(v.record(v.string(), v.nullable(v.array(portBinding))));

/** The body of `POST /containers/{id}/update`, with fields of wherry's own: ports to open and to close. */
export const updateBody = fields({
  ...resources,
  RestartPolicy: restartPolicy,
  PublishAdd: portMap,
  PublishRm: portMap,
});

const host = {
  ...resources,
  Binds: texts,
  Mounts: maybe(v.array(mount)),
  Tmpfs: textMap,
  VolumesFrom: texts,
  VolumeDriver: text,
  ContainerIDFile: text,
  LogConfig: maybe(fields({ Type: text, Config: textMap })),
  NetworkMode: text,
  PortBindings: portMap,
  PublishAllPorts: flag,
  RestartPolicy: restartPolicy,
  AutoRemove: flag,
  ConsoleSize: maybe(v.tuple([v.number(), v.number()])),
  Annotations: textMap,
  CapAdd: words,
  CapDrop: words,
  CgroupnsMode: maybe(v.custom<NonNullable<HostConfig["CgroupnsMode"]>>((mode) => typeof mode === "string")),
  Cgroup: text,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  Links: texts,
  OomScoreAdj: integer,
  PidMode: text,
  Privileged: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  StorageOpt: textMap,
  UTSMode: text,
  UsernsMode: text,
  ShmSize: integer,
  Sysctls: textMap,
  Runtime: text,
  Isolation: text,
  MaskedPaths: texts,
  ReadonlyPaths: texts,
  Init: flag,
} satisfies Schemas<HostConfig>;

const endpoint = {
  IPAMConfig: maybe(fields({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts })),
  Links: texts,
  Aliases: texts,
  MacAddress: text,
  DriverOpts: textMap,
  GwPriority: integer,
  NetworkID: text,
  EndpointID: text,
  Gateway: text,
  IPAddress: text,
  IPPrefixLen: integer,
  IPv6Gateway: text,
  GlobalIPv6Address: text,
  GlobalIPv6PrefixLen: integer,
  DNSNames: texts,
} satisfies Schemas<EndpointSettings>;

/** One schema per field, none left out. */
type Schemas<Type> = Record<keyof Type, v.GenericSchema | v.ExactOptionalSchema<v.GenericSchema, undefined>>;

export const endpointSettings = fields(endpoint);

const nullableEndpoint = v.pipe(
  v.nullable(v.union([endpointSettings])),
  v.transform((settings): EndpointSettings => settings ?? {}),
);

/** The three parts of a create request. The container's own config is the body itself, as on the wire. */
export const createBody = fields({
  ...config,
  HostConfig: maybe(fields(host)),
  NetworkingConfig: maybe(fields({ EndpointsConfig: maybe(v.record(v.string(), nullableEndpoint)) })),
});

export type CreateBody = v.InferOutput<typeof createBody>;

/** Names of the fields of `ContainerConfig` and `HostConfig`, for tables that must not forget one. */
export const configFields = Object.keys(config) as readonly (keyof ContainerConfig)[];
export const hostFields = Object.keys(host) as readonly (keyof HostConfig)[];
