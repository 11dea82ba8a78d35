/** Pure. `run`'s and `create`'s flags as the body of `POST /containers/create`. */
import { resolve } from "node:path";
import type { CreateBody } from "#client/containers.ts";
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { createFlags } from "./create-flags.ts";
import {
  deviceRequests,
  isCdiName,
  parseByteRate,
  parseDevice,
  parseDeviceRule,
  parseDeviceWeight,
  parseGpus,
  parseOperationRate,
} from "./device-flags.ts";
import { FlagValues, keyValues } from "./flag-values.ts";
import type { Flags } from "./flags.ts";
import { healthcheck } from "./health-flags.ts";
import { parseMountFlag } from "./mount-flag.ts";
import { networkRequest } from "./network-flags.ts";
import { exposedRange, publishedPorts } from "./port-flags.ts";
import { distinctUlimits, given, limitRequest, parseRestart, parseUlimit } from "./resource-flags.ts";
import type { SecurityOptions } from "./security-flags.ts";

export interface CreateContext {
  readonly image: string;
  readonly command: readonly string[];
  /** The caller's own, for `-e NAME`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where relative paths are taken from. */
  readonly cwd: string;
  /** What the `--env-file`s and the `--label-file`s say, in order. */
  readonly fileEnv: readonly string[];
  readonly fileLabels: readonly string[];
  readonly security: SecurityOptions;
  /** Streams the caller will attach to. */
  readonly attach: readonly ("stdin" | "stdout" | "stderr")[];
  /** Characters of the caller's terminal. */
  readonly consoleSize?: readonly [height: number, width: number] | undefined;
}

/** @throws Fault `invalid` in the docker CLI's words. */
export function createRequest(flags: Flags, o: CreateContext): CreateBody {
  const values = new FlagValues(flags, createFlags);
  refuse(flags);
  const ports = publishedPorts(flags.list("publish"));
  const network = networkRequest(flags);
  return {
    ...containerConfig(flags, values, ports.exposed, o),
    HostConfig: {
      ...hostConfig(flags, values, o),
      NetworkMode: network.mode,
      PortBindings: ports.bindings,
      ...(o.consoleSize !== undefined && { ConsoleSize: [...o.consoleSize] as [number, number] }),
    },
    ...(Object.keys(network.endpoints).length > 0 && {
      NetworkingConfig: { EndpointsConfig: network.endpoints },
    }),
  };
}

/** What makes sense for a Windows engine alone. */
const windowsFlags = ["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"];

function refuse(flags: Flags): void {
  const windows = windowsFlags.find((name) => flags.has(name));
  if (windows !== undefined)
    throw new Fault(
      "unsupported",
      `"--${windows}" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux`,
    );
  if (flags.on("use-api-socket"))
    throw new Fault(
      "unsupported",
      "--use-api-socket is not supported: mount the engine's socket by its path with --volume, and mind that it gives the container the machine",
    );
  if (flags.on("rm") && !["", "no"].includes(flags.text("restart") ?? ""))
    throw new Fault("invalid", "conflicting options: cannot specify both --restart and --rm");
  for (const [name, word, pattern] of [
    ["pid", "PID", /^(?:host|container:.+)?$/],
    ["uts", "UTS", /^(?:host)?$/],
    ["userns", "USER", /^(?:host)?$/],
    ["cgroupns", "CGROUP", /^(?:host|private)?$/],
  ] as const)
    if (!pattern.test(flags.text(name) ?? "")) throw new Fault("invalid", `--${name}: invalid ${word} mode`);
  const swappiness = Number(flags.text("memory-swappiness") ?? -1);
  if (swappiness < -1 || swappiness > 100)
    throw new Fault("invalid", `invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
}

function containerConfig(
  flags: Flags,
  values: FlagValues,
  published: readonly string[],
  o: CreateContext,
): ContainerConfig {
  const exposed = [...published, ...flags.list("expose").flatMap(exposedRange)];
  const volumes = flags.list("volume").filter((each) => !each.includes(":"));
  const interactive = flags.on("interactive");
  const entrypoint = flags.text("entrypoint");
  return given<ContainerConfig>({
    Image: o.image,
    Cmd: o.command.length > 0 ? [...o.command] : undefined,
    Entrypoint: entrypoint === undefined ? undefined : [entrypoint],
    Hostname: flags.text("hostname"),
    Domainname: flags.text("domainname"),
    User: flags.text("user"),
    WorkingDir: flags.text("workdir"),
    StopSignal: flags.text("stop-signal"),
    StopTimeout: values.whole("stop-timeout"),
    AttachStdin: o.attach.includes("stdin"),
    AttachStdout: o.attach.includes("stdout"),
    AttachStderr: o.attach.includes("stderr"),
    Tty: flags.on("tty"),
    OpenStdin: interactive,
    StdinOnce: interactive && o.attach.includes("stdin"),
    Env: [...o.fileEnv, ...flags.list("env").flatMap((entry) => environment(entry, values, o))],
    Labels: keyValues([...o.fileLabels, ...values.each("label", parseLabel)]),
    Healthcheck: healthcheck(flags, values),
    ExposedPorts: exposed.length > 0 ? keySet(exposed) : undefined,
    Volumes: volumes.length > 0 ? keySet(volumes) : undefined,
  });
}

function keySet(keys: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(keys.map((key) => [key, {}]));
}

/** A name alone takes the caller's value; where there is none, the engine takes the name out of the image's. */
function environment(entry: string, values: FlagValues, o: CreateContext): string[] {
  const at = entry.indexOf("=");
  if (entry === "" || at === 0) throw values.refusal("env", entry, `invalid environment variable: ${entry}`);
  if (at > 0) return [entry];
  const own = o.env[entry];
  return [own === undefined ? entry : `${entry}=${own}`];
}

function parseLabel(text: string): string {
  const key = (text.split("=", 1)[0] ?? "").replace(/^[ \t]+/, "");
  if (key === "") throw new Fault("invalid", `invalid label '${text}': empty name`);
  if (/[ \t]/.test(key)) throw new Fault("invalid", `label '${key}' contains whitespaces`);
  return text;
}

const texts = {
  CgroupParent: "cgroup-parent",
  CgroupnsMode: "cgroupns",
  ContainerIDFile: "cidfile",
  IpcMode: "ipc",
  Isolation: "isolation",
  PidMode: "pid",
  Runtime: "runtime",
  UTSMode: "uts",
  UsernsMode: "userns",
  VolumeDriver: "volume-driver",
} as const;
const lists = {
  Dns: "dns",
  DnsSearch: "dns-search",
  GroupAdd: "group-add",
  Links: "link",
  VolumesFrom: "volumes-from",
} as const;

function hostConfig(flags: Flags, values: FlagValues, o: CreateContext): HostConfig {
  const host: Record<string, unknown> = {};
  for (const [key, name] of Object.entries(texts)) if (flags.has(name)) host[key] = flags.text(name);
  for (const [key, name] of Object.entries(lists)) if (flags.has(name)) host[key] = [...flags.list(name)];
  const dnsOptions = [...flags.list("dns-opt"), ...flags.list("dns-option")];
  const logging = keyValues(flags.list("log-opt"));
  const driver = flags.text("log-driver") ?? "";
  if (driver === "none" && flags.has("log-opt"))
    throw new Fault("invalid", `invalid logging opts for driver ${driver}`);
  const binds = flags.list("volume").filter((each) => each.includes(":"));
  return {
    ...host,
    ...o.security,
    ...capabilities(flags.list("cap-add"), flags.list("cap-drop")),
    ...limitRequest(values),
    ...deviceConfig(flags, values),
    ...given<HostConfig>({
      DnsOptions: present(dnsOptions),
      Binds: present(binds.map((bind) => absoluteBind(bind, o.cwd))),
      Mounts: present(values.each("mount", (spec) => parseMountFlag(spec, o.cwd))),
      Tmpfs: flags.has("tmpfs") ? keyValues(flags.list("tmpfs"), ":") : undefined,
      Sysctls: flags.has("sysctl") ? keyValues(values.each("sysctl", parseSysctl)) : undefined,
      Annotations: flags.has("annotation") ? keyValues(flags.list("annotation")) : undefined,
      StorageOpt: flags.has("storage-opt") ? storageOptions(flags.list("storage-opt")) : undefined,
      Ulimits: present(distinctUlimits(values.each("ulimit", parseUlimit))),
      ExtraHosts: present(values.each("add-host", parseExtraHost)),
      LogConfig: driver !== "" || flags.has("log-opt") ? { Type: driver, Config: logging } : undefined,
      Init: flags.has("init") ? flags.on("init") : undefined,
    }),
    RestartPolicy: parseRestart(flags.text("restart") ?? "no"),
    AutoRemove: flags.on("rm"),
    Privileged: flags.on("privileged"),
    ReadonlyRootfs: flags.on("read-only"),
    PublishAllPorts: flags.on("publish-all"),
  };
}

/** Whole names, sorted, each once; what is added is not dropped. */
function capabilities(add: readonly string[], drop: readonly string[]): HostConfig {
  const named = (given: readonly string[]): string[] => {
    const names = given.map((each) => each.trim().toUpperCase());
    if (names.includes("ALL")) return ["ALL"];
    return [...new Set(names.map((name) => (name.startsWith("CAP_") ? name : `CAP_${name}`)))].sort();
  };
  const CapAdd = named(add);
  const CapDrop = named(drop).filter((name) => !CapAdd.includes(name));
  return given<HostConfig>({ CapAdd: present(CapAdd), CapDrop: present(CapDrop) });
}

function present<T>(list: T[]): T[] | undefined {
  return list.length > 0 ? list : undefined;
}

function deviceConfig(flags: Flags, values: FlagValues): HostConfig {
  const named = flags.list("device");
  const requests = deviceRequests(values.each("gpus", parseGpus), named.filter(isCdiName));
  return given<HostConfig>({
    Devices: present(named.filter((each) => !isCdiName(each)).map(parseDevice)),
    DeviceRequests: present(requests),
    DeviceCgroupRules: present(values.each("device-cgroup-rule", parseDeviceRule)),
    BlkioWeightDevice: present(values.each("blkio-weight-device", parseDeviceWeight)),
    BlkioDeviceReadBps: present(values.each("device-read-bps", parseByteRate)),
    BlkioDeviceWriteBps: present(values.each("device-write-bps", parseByteRate)),
    BlkioDeviceReadIOps: present(values.each("device-read-iops", parseOperationRate)),
    BlkioDeviceWriteIOps: present(values.each("device-write-iops", parseOperationRate)),
    MemorySwappiness: values.whole("memory-swappiness"),
    OomKillDisable: flags.has("oom-kill-disable") ? flags.on("oom-kill-disable") : undefined,
    OomScoreAdj: values.whole("oom-score-adj"),
    ShmSize: values.bytes("shm-size"),
  });
}

/** `./data:/data` is beneath the caller's directory. */
function absoluteBind(bind: string, cwd: string): string {
  const at = bind.indexOf(":");
  const source = bind.slice(0, at);
  return source.startsWith(".") ? `${resolve(cwd, source)}${bind.slice(at)}` : bind;
}

const sysctlNames =
  /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|net\..*|fs\.mqueue\..*)$/;

function parseSysctl(text: string): string {
  const at = text.indexOf("=");
  if (at <= 0 || !sysctlNames.test(text.slice(0, at)))
    throw new Fault("invalid", `sysctl '${text}' is not allowed`);
  return text;
}

function storageOptions(options: readonly string[]): Record<string, string> {
  if (options.some((option) => !option.includes("="))) throw new Fault("invalid", "invalid storage option");
  return keyValues(options);
}

function parseExtraHost(spec: string): string {
  const at = spec.search(/[:=]/);
  if (at < 1 || at === spec.length - 1)
    throw new Fault("invalid", `bad format for add-host: ${JSON.stringify(spec)}`);
  const address = spec.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  if (address !== "host-gateway" && !/^[0-9a-f.:%]+$/i.test(address))
    throw new Fault("invalid", `invalid IP address in add-host: ${JSON.stringify(address)}`);
  return `${spec.slice(0, at)}:${address}`;
}
