/**
 * Ranges and combinations a create request must respect, in dockerd's words.
 * Pure. Never: looks at the machine or the image.
 */
import type { ContainerConfig, CreateRequest, HostConfig, MountRequest } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { HostFacts } from "./host-defaults.ts";

const memoryBytesMin = 6 * 1024 * 1024;

/** @throws Fault `invalid` with the first thing that cannot be. */
export function checkCreate(
  request: Pick<CreateRequest, "config" | "host">,
  version: number,
  facts: HostFacts,
): void {
  checkConfig(request.config);
  checkMemory(request.host);
  checkCpu(request.host, facts);
  checkCombinations(request.config, request.host);
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
      refuse(`invalid environment variable: ${JSON.stringify(variable)}`);
  for (const port of Object.keys(config.ExposedPorts ?? {}))
    if (!isPort(port)) refuse(`invalid exposed port ${JSON.stringify(port)}: want PORT[-PORT][/tcp|udp]`);
  const stopTimeout = config.StopTimeout ?? 0;
  if (stopTimeout < -1) refuse(`invalid stop timeout ${stopTimeout}: want seconds, or -1 to wait for ever`);
}

function isPort(text: string): boolean {
  const [, low, high, protocol = "tcp"] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(.*))?$/.exec(text) ?? [];
  if (low === undefined || !["tcp", "udp", "sctp"].includes(protocol.toLowerCase())) return false;
  return Number(low) <= Number(high ?? low) && Number(high ?? low) <= 65535;
}

function checkMemory(host: HostConfig): void {
  const memory = host.Memory ?? 0;
  const swap = host.MemorySwap ?? 0;
  const reservation = host.MemoryReservation ?? 0;
  if (memory !== 0 && memory < memoryBytesMin) refuse("Minimum memory limit allowed is 6MB");
  if (memory > 0 && swap > 0 && swap < memory)
    refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
  if (memory === 0 && swap > 0)
    refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
  const swappiness = host.MemorySwappiness;
  if (typeof swappiness === "number" && (swappiness < 0 || swappiness > 100))
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  if (reservation !== 0 && reservation < memoryBytesMin) refuse("Minimum memory reservation allowed is 6MB");
  if (memory > 0 && reservation > 0 && memory < reservation)
    refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
  if ((host.ShmSize ?? 0) < 0) refuse("SHM size can not be less than 0");
  const adjustment = host.OomScoreAdj ?? 0;
  if (adjustment < -1000 || adjustment > 1000)
    refuse(`Invalid value ${adjustment}, range for oom score adj is [-1000, 1000]`);
}

function checkCpu(host: HostConfig, facts: HostFacts): void {
  const nano = host.NanoCpus ?? 0;
  const period = host.CpuPeriod ?? 0;
  const quota = host.CpuQuota ?? 0;
  if (nano > 0 && period > 0) refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set.");
  if (nano > 0 && quota > 0) refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set.");
  if (nano < 0 || nano > facts.cpus * 1e9)
    refuse(
      `range of CPUs is from 0.01 to ${facts.cpus.toFixed(2)}, as there are only ${facts.cpus} CPUs available`,
    );
  if (period !== 0 && (period < 1000 || period > 1_000_000))
    refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  if (quota > 0 && quota < 1000) refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if ((host.CpuShares ?? 0) < 0)
    refuse(`invalid CPU shares (${host.CpuShares}): value must be a positive integer`);
  const weight = host.BlkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000)) refuse("Range of blkio weight is from 10 to 1000");
  for (const [name, set] of [
    ["cpus", host.CpusetCpus],
    ["memory nodes", host.CpusetMems],
  ] as const)
    if (set && !/^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$/.test(set))
      refuse(`Invalid value ${set} for cpuset ${name}`);
}

function checkCombinations(config: ContainerConfig, host: HostConfig): void {
  const restart = host.RestartPolicy?.Name ?? "";
  if (host.AutoRemove === true && restart !== "" && restart !== "no")
    refuse("can't create 'AutoRemove' container with restart policy");
  const retries = host.RestartPolicy?.MaximumRetryCount ?? 0;
  if (retries < 0) refuse("invalid restart policy: maximum retry count cannot be negative");
  if (retries > 0 && restart !== "on-failure")
    refuse("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  const mode = host.NetworkMode ?? "";
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
  for (const line of host.ExtraHosts ?? [])
    if (!/^[^:=\s]+[:=].+$/.test(line)) refuse(`bad format for add-host: ${JSON.stringify(line)}`);
}

function checkMount(mount: MountRequest, version: number): void {
  const type = mount.Type ?? "";
  if (version >= 42) {
    const [stray] = (
      [
        ["VolumeOptions", "volume"],
        ["BindOptions", "bind"],
        ["TmpfsOptions", "tmpfs"],
      ] as const
    ).filter(([options, owner]) => mount[options] !== undefined && type !== owner);
    if (stray !== undefined) refuse(`${stray[0]} must not be specified on mount type "${type}"`);
  }
  if (version < 44 && mount.BindOptions?.ReadOnlyForceRecursive === true)
    refuse("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
  if (version < 45 && (mount.VolumeOptions?.Subpath ?? "") !== "")
    refuse("VolumeOptions.Subpath needs API v1.45 or newer");
  if (type === "image" && version < 48) refuse('Mount type "Image" needs API v1.48 or newer');
  if (type === "image" || type === "cluster" || type === "npipe")
    throw new Fault("unsupported", `mount type "${type}" is not supported by this engine yet`);
  if (type === "") refuse("mount type must not be empty: want bind, volume or tmpfs");
  if ((mount.Target ?? "") === "") refuse("invalid mount config: field Target must not be empty");
  if (!mount.Target?.startsWith("/"))
    refuse(`invalid mount path: '${mount.Target}' mount path must be absolute`);
  if (type === "bind" && (mount.Source ?? "") === "")
    refuse('invalid mount config for type "bind": field Source must not be empty');
  if (type === "tmpfs" && (mount.Source ?? "") !== "")
    refuse('invalid mount config for type "tmpfs": field Source must not be specified');
}
