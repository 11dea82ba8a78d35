/**
 * Which fields of a create request the engine acts on, so that none is silently ignored.
 * Pure. Owns: one table per part of the request. Promises: a field that is set and not honoured is refused by name,
 * with what to do instead. Never: judges values of fields that are honoured.
 */
import type { ContainerConfig, EndpointSettings, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

/** `honoured`, `discarded` with a warning (discarded.ts), or why a value other than the zero value and `allowed` is refused. */
type Rule =
  | "honoured"
  | "discarded"
  | {
      readonly because: string;
      readonly allowed?: readonly unknown[];
      readonly unless?: (value: unknown) => boolean;
    };

const configRules: Record<keyof ContainerConfig, Rule> = {
  Hostname: "honoured",
  Domainname: "honoured",
  User: "honoured",
  AttachStdin: "honoured",
  AttachStdout: "honoured",
  AttachStderr: "honoured",
  ExposedPorts: "honoured",
  Tty: "honoured",
  OpenStdin: "honoured",
  StdinOnce: "honoured",
  Env: "honoured",
  Cmd: "honoured",
  Healthcheck: "honoured",
  // For Windows; clients that make a container again send it back as an image had it.
  ArgsEscaped: "honoured",
  Image: "honoured",
  Volumes: "honoured",
  WorkingDir: "honoured",
  Entrypoint: "honoured",
  NetworkDisabled: "honoured",
  MacAddress: "honoured",
  OnBuild: "honoured",
  Labels: "honoured",
  StopSignal: "honoured",
  StopTimeout: "honoured",
  Shell: "honoured",
};

type ForeignHostField =
  | "Capabilities"
  | "CpuCount"
  | "CpuPercent"
  | "IOMaximumBandwidth"
  | "IOMaximumIOps"
  | "KernelMemory";

const hostRules: Record<keyof HostConfig | ForeignHostField, Rule> = {
  Binds: "honoured",
  Mounts: "honoured",
  Tmpfs: "honoured",
  VolumesFrom: "honoured",
  VolumeDriver: "honoured",
  ContainerIDFile: "honoured",
  LogConfig: "honoured",
  NetworkMode: "honoured",
  PortBindings: "honoured",
  PublishAllPorts: "honoured",
  RestartPolicy: "honoured",
  AutoRemove: "honoured",
  ConsoleSize: "honoured",
  Annotations: "honoured",
  CapAdd: "honoured",
  CapDrop: "honoured",
  CgroupnsMode: "honoured",
  Cgroup: { because: "a process is in one cgroup alone; put both below one parent with CgroupParent" },
  Dns: "honoured",
  DnsOptions: "honoured",
  DnsSearch: "honoured",
  ExtraHosts: "honoured",
  GroupAdd: "honoured",
  IpcMode: "honoured",
  Links: "honoured",
  OomScoreAdj: "honoured",
  PidMode: "honoured",
  Privileged: "honoured",
  ReadonlyRootfs: "honoured",
  SecurityOpt: "honoured",
  StorageOpt: "honoured",
  UTSMode: "honoured",
  UsernsMode: { because: "containers have no user namespace of their own here", allowed: ["host"] },
  ShmSize: "honoured",
  Sysctls: "honoured",
  Runtime: "honoured",
  Isolation: "honoured",
  MaskedPaths: "honoured",
  ReadonlyPaths: "honoured",
  Init: "honoured",
  CpuShares: "honoured",
  Memory: "honoured",
  NanoCpus: "honoured",
  CgroupParent: "honoured",
  BlkioWeight: "honoured",
  BlkioWeightDevice: "honoured",
  BlkioDeviceReadBps: "honoured",
  BlkioDeviceWriteBps: "honoured",
  BlkioDeviceReadIOps: "honoured",
  BlkioDeviceWriteIOps: "honoured",
  CpuPeriod: "honoured",
  CpuQuota: "honoured",
  CpuRealtimePeriod: "honoured",
  CpuRealtimeRuntime: "honoured",
  CpusetCpus: "honoured",
  CpusetMems: "honoured",
  Devices: "honoured",
  DeviceCgroupRules: "honoured",
  DeviceRequests: "honoured",
  MemoryReservation: "honoured",
  MemorySwap: "honoured",
  MemorySwappiness: "honoured",
  OomKillDisable: "honoured",
  PidsLimit: "honoured",
  Ulimits: "honoured",
  KernelMemoryTCP: "discarded",
  Capabilities: { because: "use CapAdd and CapDrop to set capabilities" },
  CpuCount: "discarded",
  CpuPercent: "discarded",
  IOMaximumBandwidth: { because: "it is for Windows containers" },
  IOMaximumIOps: { because: "it is for Windows containers" },
  KernelMemory: "discarded",
};

/** What only answers carry, clients send back as they got it; it says nothing. */
const answered: Rule = "honoured";

const endpointRules: Record<keyof EndpointSettings, Rule> = {
  IPAMConfig: "honoured",
  Links: "honoured",
  Aliases: "honoured",
  MacAddress: "honoured",
  DriverOpts: "honoured",
  GwPriority: "honoured",
  NetworkID: answered,
  EndpointID: answered,
  Gateway: answered,
  IPAddress: answered,
  IPPrefixLen: answered,
  IPv6Gateway: answered,
  GlobalIPv6Address: answered,
  GlobalIPv6PrefixLen: answered,
  DNSNames: answered,
};

/**
 * Checks a create body as it was sent.
 * @throws Fault `unsupported` naming the first field that is set but not honoured.
 */
export function refuseUnhonoured(body: unknown): void {
  refuse(body, configRules, "");
  refuse(property(body, "HostConfig"), hostRules, "HostConfig.");
  const endpoints = property(property(body, "NetworkingConfig"), "EndpointsConfig");
  if (typeof endpoints !== "object" || endpoints === null) return;
  for (const [network, settings] of Object.entries(endpoints))
    refuse(settings, endpointRules, `NetworkingConfig.EndpointsConfig.${network}.`);
}

function refuse(part: unknown, rules: Readonly<Record<string, Rule>>, prefix: string): void {
  if (typeof part !== "object" || part === null) return;
  for (const [name, value] of Object.entries(part)) {
    const rule = rules[name];
    if (rule === undefined || typeof rule === "string" || isZero(value)) continue;
    if (rule.allowed?.includes(value) === true || rule.unless?.(value) === true) continue;
    throw new Fault("unsupported", `${prefix}${name} cannot be honoured: ${rule.because}`);
  }
}

/** Go's zero values, and what stands for nothing set. */
export function isZero(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.every(isZero);
  return typeof value === "object" && Object.values(value).every(isZero);
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
