/** Pure. `run`'s and `create`'s flags as the body of `POST /containers/create`. */
import type { CreateBody } from "#client/containers.ts";
import type { HostConfig, MountRequest, PortBinding, RestartPolicy, Ulimit } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { FlagSpec, Flags } from "./flags.ts";
import { parseCpus, parseSize } from "./units.ts";

const text = (name: string, help: string, short?: string): FlagSpec => ({
  name,
  kind: "text",
  help,
  ...(short !== undefined && { short }),
});
const list = (name: string, help: string, short?: string): FlagSpec => ({
  name,
  kind: "list",
  help,
  ...(short !== undefined && { short }),
});
const flag = (name: string, help: string, short?: string): FlagSpec => ({
  name,
  kind: "switch",
  help,
  ...(short !== undefined && { short }),
});

export const createFlags: readonly FlagSpec[] = [
  list("add-host", "Add a custom host-to-IP mapping (host:ip)"),
  list("annotation", "Add an annotation to the container (passed through to the OCI runtime)"),
  list("attach", "Attach to STDIN, STDOUT or STDERR", "a"),
  list("cap-add", "Add Linux capabilities"),
  list("cap-drop", "Drop Linux capabilities"),
  text("cgroup-parent", "Optional parent cgroup for the container"),
  text("cgroupns", "Cgroup namespace to use (host|private)"),
  text("cidfile", "Write the container ID to the file"),
  text("cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period"),
  text("cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota"),
  text("cpu-shares", "CPU shares (relative weight)", "c"),
  text("cpus", "Number of CPUs"),
  text("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)"),
  text("cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)"),
  list("device", "Add a host device to the container"),
  list("dns", "Set custom DNS servers"),
  list("dns-option", "Set DNS options"),
  list("dns-search", "Set custom DNS search domains"),
  text("domainname", "Container NIS domain name"),
  text("entrypoint", "Overwrite the default ENTRYPOINT of the image"),
  list("env", "Set environment variables", "e"),
  list("env-file", "Read in a file of environment variables"),
  list("expose", "Expose a port or a range of ports"),
  list("group-add", "Add additional groups to join"),
  text("hostname", "Container host name", "h"),
  flag("interactive", "Keep STDIN open even if not attached", "i"),
  text("ipc", "IPC mode to use"),
  list("label", "Set meta data on a container", "l"),
  text("mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
  text("memory", "Memory limit", "m"),
  text("memory-reservation", "Memory soft limit"),
  text("memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
  list("mount", "Attach a filesystem mount to the container"),
  text("name", "Assign a name to the container"),
  text("network", "Connect a container to a network"),
  text("net", "Connect a container to a network"),
  flag("oom-kill-disable", "Disable OOM Killer"),
  text("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)"),
  text("pid", "PID namespace to use"),
  text("pids-limit", "Tune container pids limit (set -1 for unlimited)"),
  text("platform", "Set platform if server is multi-platform capable"),
  flag("privileged", "Give extended privileges to this container"),
  list("publish", "Publish a container's port(s) to the host", "p"),
  flag("publish-all", "Publish all exposed ports to random ports", "P"),
  text("pull", 'Pull image before running ("always", "missing", "never")'),
  flag("read-only", "Mount the container's root filesystem as read only"),
  text("restart", "Restart policy to apply when a container exits"),
  flag("rm", "Automatically remove the container and its associated anonymous volumes when it exits"),
  list("security-opt", "Security Options"),
  text("shm-size", "Size of /dev/shm"),
  text("stop-signal", "Signal to stop the container"),
  text("stop-timeout", "Timeout (in seconds) to stop a container"),
  list("sysctl", "Sysctl options"),
  list("tmpfs", "Mount a tmpfs directory"),
  flag("tty", "Allocate a pseudo-TTY", "t"),
  list("ulimit", "Ulimit options"),
  text("user", "Username or UID (format: <name|uid>[:<group|gid>])", "u"),
  text("uts", "UTS namespace to use"),
  list("volume", "Bind mount a volume", "v"),
  list("volumes-from", "Mount volumes from the specified container(s)"),
  text("workdir", "Working directory inside the container", "w"),
];

export interface CreateContext {
  readonly image: string;
  readonly command: readonly string[];
  /** The caller's own, for `-e NAME`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The texts of `--env-file`s, in order. */
  readonly envFiles: readonly string[];
  /** Streams the caller will attach to; `create` and `-d` none but what `-a` says. */
  readonly attach: readonly ("stdin" | "stdout" | "stderr")[];
  /** Characters of the caller's terminal. */
  readonly consoleSize?: readonly [height: number, width: number] | undefined;
}

/** @throws Fault `invalid` in the docker CLI's words. */
export function createRequest(flags: Flags, o: CreateContext): CreateBody {
  const ports = publishedPorts(flags.list("publish"));
  const exposed = [...ports.exposed, ...flags.list("expose").flatMap(exposedRange)];
  const entrypoint = flags.text("entrypoint");
  const interactive = flags.on("interactive");
  const mac = flags.text("mac-address");
  const stopTimeout = flags.text("stop-timeout");
  return {
    Image: o.image,
    ...(o.command.length > 0 && { Cmd: [...o.command] }),
    ...(entrypoint !== undefined && { Entrypoint: entrypoint === "" ? [""] : [entrypoint] }),
    ...textField("Hostname", flags.text("hostname")),
    ...textField("Domainname", flags.text("domainname")),
    ...textField("User", flags.text("user")),
    ...textField("WorkingDir", flags.text("workdir")),
    ...textField("StopSignal", flags.text("stop-signal")),
    ...(stopTimeout !== undefined && { StopTimeout: Number(stopTimeout) }),
    ...(mac !== undefined && { MacAddress: mac }),
    AttachStdin: o.attach.includes("stdin"),
    AttachStdout: o.attach.includes("stdout"),
    AttachStderr: o.attach.includes("stderr"),
    Tty: flags.on("tty"),
    OpenStdin: interactive,
    StdinOnce: interactive && o.attach.includes("stdin"),
    Env: environment(flags.list("env"), o),
    Labels: map(flags.list("label")),
    ...(exposed.length > 0 && { ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])) }),
    ...volumesOf(flags),
    HostConfig: {
      ...hostConfig(flags),
      PortBindings: ports.bindings,
      ...(o.consoleSize !== undefined && { ConsoleSize: [...o.consoleSize] as [number, number] }),
    },
  };
}

function textField<Name extends string>(name: Name, value: string | undefined): { [Key in Name]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { [Key in Name]?: string };
}

/** `-v PATH` alone is a volume of the container's own. */
function volumesOf(flags: Flags): { Volumes?: Record<string, Record<string, never>> } {
  const paths = flags.list("volume").filter((each) => !each.includes(":"));
  return paths.length === 0 ? {} : { Volumes: Object.fromEntries(paths.map((path) => [path, {}])) };
}

function hostConfig(flags: Flags): HostConfig {
  const sizes = { Memory: "memory", MemoryReservation: "memory-reservation", ShmSize: "shm-size" } as const;
  const numbers = {
    CpuShares: "cpu-shares",
    CpuPeriod: "cpu-period",
    CpuQuota: "cpu-quota",
    PidsLimit: "pids-limit",
    OomScoreAdj: "oom-score-adj",
  } as const;
  const texts = {
    CpusetCpus: "cpuset-cpus",
    CpusetMems: "cpuset-mems",
    CgroupParent: "cgroup-parent",
    CgroupnsMode: "cgroupns",
    IpcMode: "ipc",
    PidMode: "pid",
    UTSMode: "uts",
  } as const;
  const lists = {
    CapAdd: "cap-add",
    CapDrop: "cap-drop",
    Dns: "dns",
    DnsOptions: "dns-option",
    DnsSearch: "dns-search",
    GroupAdd: "group-add",
    SecurityOpt: "security-opt",
    VolumesFrom: "volumes-from",
  } as const;
  const host: Record<string, unknown> = {};
  for (const [key, name] of Object.entries(sizes))
    if (flags.has(name)) host[key] = parseSize(flags.text(name) ?? "");
  for (const [key, name] of Object.entries(numbers))
    if (flags.has(name)) host[key] = whole(name, flags.text(name) ?? "");
  for (const [key, name] of Object.entries(texts)) if (flags.has(name)) host[key] = flags.text(name);
  for (const [key, name] of Object.entries(lists)) if (flags.has(name)) host[key] = [...flags.list(name)];
  const swap = flags.text("memory-swap");
  const binds = flags.list("volume").filter((each) => each.includes(":"));
  return {
    ...host,
    ...(swap !== undefined && { MemorySwap: swap === "-1" ? -1 : parseSize(swap) }),
    ...(flags.has("cpus") && { NanoCpus: parseCpus(flags.text("cpus") ?? "") }),
    ...(binds.length > 0 && { Binds: binds }),
    ...(flags.has("mount") && { Mounts: flags.list("mount").map(parseMountFlag) }),
    ...(flags.has("tmpfs") && { Tmpfs: map(flags.list("tmpfs"), ":") }),
    ...(flags.has("sysctl") && { Sysctls: map(flags.list("sysctl")) }),
    ...(flags.has("annotation") && { Annotations: map(flags.list("annotation")) }),
    ...(flags.has("device") && { Devices: flags.list("device").map(parseDevice) }),
    ...(flags.has("ulimit") && { Ulimits: flags.list("ulimit").map(parseUlimit) }),
    ...(flags.has("add-host") && { ExtraHosts: flags.list("add-host").map(parseExtraHost) }),
    NetworkMode: flags.text("network") ?? flags.text("net") ?? "default",
    RestartPolicy: parseRestart(flags.text("restart") ?? "no"),
    AutoRemove: flags.on("rm"),
    Privileged: flags.on("privileged"),
    ReadonlyRootfs: flags.on("read-only"),
    PublishAllPorts: flags.on("publish-all"),
    ...(flags.on("oom-kill-disable") && { OomKillDisable: true }),
  };
}

function whole(name: string, value: string): number {
  if (!/^-?\d+$/.test(value))
    throw new Fault(
      "invalid",
      `invalid argument ${JSON.stringify(value)} for "--${name}" flag: want a whole number`,
    );
  return Number(value);
}

function map(texts: readonly string[], separator = "="): Record<string, string> {
  return Object.fromEntries(
    texts.map((each) => {
      const at = each.indexOf(separator);
      return at < 0 ? [each, ""] : [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}

/** Files first, then flags; a name alone takes the caller's value, or is left out. */
function environment(given: readonly string[], o: CreateContext): string[] {
  const lines = o.envFiles.flatMap((content) =>
    content
      .split(/\r?\n/)
      .map((line) => line.trimStart())
      .filter((line) => line !== "" && !line.startsWith("#")),
  );
  return [...lines, ...given].flatMap((entry) => {
    const [name = ""] = entry.split("=", 1);
    if (name === "" || /\s/.test(name)) throw new Fault("invalid", `invalid environment variable: ${entry}`);
    if (entry.includes("=")) return [entry];
    const own = o.env[entry];
    return own === undefined ? [] : [`${entry}=${own}`];
  });
}

const portPattern = /^(?:(\[[^\]]*\]|[^:/]*):)??(?:(\d*(?:-\d+)?):)?(\d+(?:-\d+)?)(?:\/([a-z]+))?$/i;

/** `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, each side a port or a range. */
export function publishedPorts(specs: readonly string[]): {
  exposed: string[];
  bindings: Record<string, PortBinding[]>;
} {
  const bindings: Record<string, PortBinding[]> = {};
  for (const spec of specs) {
    const match = portPattern.exec(spec);
    if (match === null)
      throw new Fault(
        "invalid",
        `invalid publish opts format (should be name=value but got '${spec}'): invalid containerPort: ${spec}`,
      );
    const [, ip = "", host = "", container = "", protocol = "tcp"] = match;
    const inside = range(container);
    const outside = host === "" ? undefined : range(host);
    if (outside !== undefined && outside.length !== inside.length && inside.length !== 1)
      throw new Fault(
        "invalid",
        `invalid ranges specified for container and host Ports: ${container} and ${host}`,
      );
    for (const [index, port] of inside.entries()) {
      const hostPort = outside === undefined ? "" : inside.length === 1 ? host : String(outside[index]);
      const key = `${port}/${protocol.toLowerCase()}`;
      bindings[key] = [
        ...(bindings[key] ?? []),
        { HostIp: ip.replace(/^\[(.*)\]$/, "$1"), HostPort: hostPort },
      ];
    }
  }
  return { exposed: Object.keys(bindings), bindings };
}

function range(spec: string): number[] {
  const [low = 0, high = low] = spec.split("-").map(Number);
  if (low < 1 || high > 65535 || low > high) throw new Fault("invalid", `invalid port range: ${spec}`);
  return Array.from({ length: high - low + 1 }, (_, index) => low + index);
}

function exposedRange(spec: string): string[] {
  const [ports = "", protocol = "tcp"] = spec.split("/");
  if (!/^\d+(-\d+)?$/.test(ports)) throw new Fault("invalid", `invalid range format for --expose: ${spec}`);
  return range(ports).map((port) => `${port}/${protocol}`);
}

function parseRestart(spec: string): RestartPolicy {
  const [name = "", count] = spec.split(":");
  if (
    !["", "no", "always", "unless-stopped", "on-failure"].includes(name) ||
    (count !== undefined && !/^\d+$/.test(count))
  )
    throw new Fault(
      "invalid",
      `invalid restart policy: ${spec}: want no, always, unless-stopped or on-failure[:max-retries]`,
    );
  return {
    Name: name as NonNullable<RestartPolicy["Name"]>,
    ...(count !== undefined && { MaximumRetryCount: Number(count) }),
  };
}

function parseDevice(spec: string): {
  PathOnHost: string;
  PathInContainer: string;
  CgroupPermissions: string;
} {
  const [host = "", second = "", third] = spec.split(":");
  const isMode = third === undefined && /^[rwm]{1,3}$/.test(second);
  return {
    PathOnHost: host,
    PathInContainer: second === "" || isMode ? host : second,
    CgroupPermissions: third ?? (isMode ? second : "rwm"),
  };
}

function parseUlimit(spec: string): Ulimit {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(spec);
  if (match === null) throw new Fault("invalid", `invalid ulimit argument: ${spec}`);
  return { Name: match[1] ?? "", Soft: Number(match[2]), Hard: Number(match[3] ?? match[2]) };
}

function parseExtraHost(spec: string): string {
  const at = spec.search(/[:=]/);
  if (at < 1 || at === spec.length - 1)
    throw new Fault(
      "invalid",
      `invalid argument ${JSON.stringify(spec)} for "--add-host" flag: bad format for add-host: ${JSON.stringify(spec)}`,
    );
  return `${spec.slice(0, at)}:${spec.slice(at + 1)}`;
}

/** `type=bind,source=/a,target=/b,readonly`. */
export function parseMountFlag(spec: string): MountRequest {
  const mount: MountRequest = { Type: "volume" };
  for (const field of spec.split(",")) {
    const at = field.indexOf("=");
    const [key, value] =
      at < 0
        ? [field.trim().toLowerCase(), undefined]
        : [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)];
    const bad = () =>
      new Fault(
        "invalid",
        `invalid argument ${JSON.stringify(spec)} for "--mount" flag: unexpected key '${key}' in '${field}'`,
      );
    if (key === "readonly" || key === "ro")
      mount.ReadOnly = value === undefined || value === "true" || value === "1";
    else if (key === "volume-nocopy")
      mount.VolumeOptions = { ...mount.VolumeOptions, NoCopy: value === undefined || value === "true" };
    else if (value === undefined)
      throw new Fault(
        "invalid",
        `invalid argument ${JSON.stringify(spec)} for "--mount" flag: invalid field '${field}' must be a key=value pair`,
      );
    else if (key === "type") mount.Type = value as NonNullable<MountRequest["Type"]>;
    else if (key === "source" || key === "src") mount.Source = value;
    else if (key === "target" || key === "dst" || key === "destination") mount.Target = value;
    else if (key === "bind-propagation") mount.BindOptions = { ...mount.BindOptions, Propagation: value };
    else if (key === "tmpfs-size")
      mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: parseSize(value) };
    else if (key === "tmpfs-mode")
      mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) };
    else throw bad();
  }
  return mount;
}
