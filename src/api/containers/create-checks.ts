/**
 * Ranges and combinations a create request must respect, in dockerd's words.
 * Pure. Never: looks at the machine or the image.
 */
import { isIP } from "node:net";
import type { HostFacts } from "#api/host-defaults.ts";
import type { ContainerConfig, CreateRequest, HostConfig, MountRequest } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { parseByteSize } from "#spec/go-values.ts";
import { parseContainerPort, parseContainerPorts, parseHostIp, parseHostPort } from "#spec/port-spec.ts";
import { checkLogConfig } from "#telemetry/log-config.ts";
import { checkBounds } from "./create-bounds.ts";

/** @throws Fault `invalid` with the first thing that cannot be. */
export function checkCreate(
  request: Pick<CreateRequest, "config" | "host" | "name">,
  version: number,
  facts: HostFacts,
): void {
  checkBounds(request.name, request.config, request.host);
  checkConfig(request.config);
  checkModes(request.host, facts);
  checkStorage(request.host, facts);
  checkCombinations(request.config, request.host);
  const { Type = "", Config } = request.host.LogConfig ?? {};
  if (Type !== "") checkLogConfig({ Type, Config: Config ?? {} });
  for (const mount of request.host.Mounts ?? []) checkMount(mount, version);
}

function refuse(message: string): never {
  throw new Fault("invalid", message);
}

function checkConfig(config: ContainerConfig): void {
  const directory = config.WorkingDir ?? "";
  if (directory !== "" && !directory.startsWith("/"))
    refuse(`the working directory '${directory}' is invalid, it needs to be an absolute path`);
  for (const variable of config.Env ?? [])
    if (variable === "" || variable.startsWith("=") || variable.includes("\0"))
      refuse(`invalid environment variable: ${variable}`);
  for (const port of Object.keys(config.ExposedPorts ?? {})) parseContainerPorts(port);
  checkHealth(config);
  const stopTimeout = config.StopTimeout ?? 0;
  if (stopTimeout < -1) refuse(`invalid stop timeout ${stopTimeout}: want seconds, or -1 to wait for ever`);
}

const leastPeriodNs = 1e6;

function checkHealth({ Healthcheck: check = {} }: ContainerConfig): void {
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const period = check[name] ?? 0;
    if (period !== 0 && period < leastPeriodNs) refuse(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((check.Retries ?? 0) < 0) refuse("Retries in Healthcheck cannot be negative");
}

function checkModes(host: HostConfig, facts: HostFacts): void {
  const modes = [
    ["IPC", host.IpcMode, /^(?:none|private|shareable|host|container:.+)?$/],
    ["PID", host.PidMode, /^(?:host|container:.+)?$/],
    ["UTS", host.UTSMode, /^(?:host)?$/],
    ["cgroup namespace", host.CgroupnsMode, /^(?:host|private)?$/],
  ] as const;
  for (const [kind, mode = "", valid] of modes)
    if (!valid.test(mode)) refuse(`invalid ${kind} mode: ${mode}`);
  if ((host.ShmSize ?? 0) < 0) refuse("SHM size can not be less than 0");
  const adjustment = host.OomScoreAdj ?? 0;
  if (adjustment < -1000 || adjustment > 1000)
    refuse(`Invalid value ${adjustment}, range for oom score adj is [-1000, 1000]`);
  if (!/^(?:default)?$/i.test(host.Isolation ?? ""))
    refuse(`Invalid isolation: ${JSON.stringify(host.Isolation)} - linux only supports 'default'`);
  const runtime = host.Runtime ?? "";
  if (![...facts.runtimes, "", "io.containerd.runc.v2"].includes(runtime))
    refuse(`unknown or invalid runtime name: ${runtime}`);
  for (const key of Object.keys(host.Annotations ?? {})) checkAnnotation(key);
  for (const [path, options] of Object.entries(host.Tmpfs ?? {})) checkTmpfs(path, options);
}

/** dockerd's first words are what scripts look for. */
function checkStorage({ StorageOpt }: HostConfig, facts: HostFacts): void {
  for (const [name, value] of Object.entries(StorageOpt ?? {})) {
    if (name.toLowerCase() !== "size") refuse(`Unknown option ${name}`);
    if (!facts.limitsRootSizes)
      throw new Fault(
        "unsupported",
        "--storage-opt is supported only for overlay over xfs with 'pquota' mount option: mount the data root's ext4 or xfs with project quotas",
      );
    if (parseByteSize(value, 1024) === 0) refuse(`invalid size: '${value}'`);
  }
}

/** Compiled filters of system calls are remembered for other containers: one from a request must not be among them. */
const filterAnnotation = "run.oci.seccomp_bpf_data";

function checkAnnotation(key: string): void {
  if (key === "") refuse("invalid Annotations: the empty string is not permitted as an annotation key");
  if (key === filterAnnotation)
    throw new Fault(
      "unsupported",
      `the annotation ${filterAnnotation} is the engine's own: set a filter with --security-opt seccomp=FILE`,
    );
}

const tmpfsWords = new Set(
  (
    "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec " +
    "noiversion nolazytime nomand norelatime nostrictatime nosuid private rbind relatime remount ro rprivate rshared " +
    "rslave runbindable rw shared silent slave strictatime suid sync unbindable"
  ).split(" "),
);
const tmpfsKeys = new Set(["gid", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"]);

function checkTmpfs(path: string, options: string): void {
  if (!path.startsWith("/")) refuse(`invalid mount path: '${path}' mount path must be absolute`);
  for (const option of options.split(",")) {
    const at = option.indexOf("=");
    const known = at < 0 ? option === "" || tmpfsWords.has(option) : tmpfsKeys.has(option.slice(0, at));
    if (!known) refuse(`invalid tmpfs option ${JSON.stringify(option)}`);
  }
}

const restartPolicies = ["", "no", "always", "on-failure", "unless-stopped", "on-unhealthy"];

/** @throws Fault `invalid` in dockerd's words. */
export function checkRestartPolicy(host: HostConfig): void {
  const restart = host.RestartPolicy?.Name ?? "";
  if (!restartPolicies.includes(restart))
    refuse(
      `invalid restart policy: unknown policy '${restart}'; use one of 'no', 'always', 'on-failure', 'unless-stopped', or 'on-unhealthy'`,
    );
  const retries = host.RestartPolicy?.MaximumRetryCount ?? 0;
  if (retries < 0) refuse("invalid restart policy: maximum retry count cannot be negative");
  if (retries > 0 && restart !== "on-failure" && restart !== "on-unhealthy")
    refuse("invalid restart policy: maximum retry count can only be used with 'on-failure'");
}

function checkCombinations(config: ContainerConfig, host: HostConfig): void {
  const restart = host.RestartPolicy?.Name ?? "";
  if (host.AutoRemove === true && restart !== "" && restart !== "no")
    refuse("can't create 'AutoRemove' container with restart policy");
  checkRestartPolicy(host);
  const mode = host.NetworkMode ?? "";
  const shares = mode === "host" ? "host type" : mode.startsWith("container:") ? "container type" : undefined;
  if ((host.Links ?? []).length > 0 && shares !== undefined)
    refuse(
      `conflicting options: ${shares} networking can't be used with links. This would result in undefined behavior`,
    );
  if (mode === "container:") refuse("Invalid network mode: invalid container format container:<name|id>");
  if (mode.startsWith("container:")) {
    if (config.Hostname) refuse("conflicting options: hostname and the network mode");
    if (Object.keys(host.PortBindings ?? {}).length > 0 || host.PublishAllPorts === true)
      refuse("conflicting options: port publishing and the container type network mode");
    if (Object.keys(config.ExposedPorts ?? {}).length > 0)
      refuse("conflicting options: port exposing and the container type network mode");
    if ((host.Dns ?? []).length > 0) refuse("conflicting options: dns and the network mode");
    if ((host.ExtraHosts ?? []).length > 0)
      refuse("conflicting options: custom host-to-IP mapping and the network mode");
  }
  if (host.UTSMode === "host" && config.Hostname) refuse("conflicting options: hostname and the UTS mode");
  checkExtraHosts(host.ExtraHosts ?? []);
  checkPorts(host.PortBindings ?? {});
}

function checkExtraHosts(lines: readonly string[]): void {
  for (const line of lines) {
    const [, address] = /^[^:\s]+:(.*)$/.exec(line) ?? [];
    if (address === undefined) refuse(`bad format for add-host: ${JSON.stringify(line)}`);
    if (address !== "host-gateway" && isIP(address) === 0)
      refuse(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
}

/** @throws Fault `invalid` in dockerd's words. */
export function checkPorts(bindings: NonNullable<HostConfig["PortBindings"]>): void {
  for (const [key, list] of Object.entries(bindings)) {
    parseContainerPort(key);
    for (const { HostIp = "", HostPort = "" } of list ?? []) {
      parseHostIp(HostIp);
      parseHostPort(HostPort);
    }
  }
}

function checkMount(mount: MountRequest, version: number): void {
  const type = mount.Type ?? "";
  if (version >= 42) {
    const [stray] = (
      [
        ["VolumeOptions", "volume"],
        ["BindOptions", "bind"],
        ["TmpfsOptions", "tmpfs"],
        ["ImageOptions", "image"],
      ] as const
    ).filter(([options, owner]) => mount[options] !== undefined && type !== owner);
    if (stray !== undefined) refuse(`${stray[0]} must not be specified on mount type "${type}"`);
  }
  if (version < 44 && mount.BindOptions?.ReadOnlyForceRecursive === true)
    refuse("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
  if (version < 45 && (mount.VolumeOptions?.Subpath ?? "") !== "")
    refuse("VolumeOptions.Subpath needs API v1.45 or newer");
  if (type === "image" && version < 48) refuse('Mount type "Image" needs API v1.48 or newer');
  const wrong = wrongMount(mount, type);
  if (wrong !== undefined) refuse(`invalid mount config for type "${type}": ${wrong}`);
}

/** In dockerd's words. */
function wrongMount({ Target = "", Source = "" }: MountRequest, type: string): string | undefined {
  if (!["bind", "volume", "tmpfs", "image"].includes(type)) return "mount type unknown";
  if (Target === "") return "field Target must not be empty";
  if (!Target.startsWith("/")) return `invalid mount path: '${Target}' mount path must be absolute`;
  if (type === "bind" && Source === "") return "field Source must not be empty";
  if (type === "tmpfs" && Source !== "") return "field Source must not be specified";
  return undefined;
}
