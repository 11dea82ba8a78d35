/** The flags of `run` and `create`: docker's, every one. */
import type { FlagSpec } from "./flags.ts";

const text = (name: string, help: string, o: Partial<FlagSpec> = {}): FlagSpec => ({
  ...{ name, kind: "text", help },
  ...o,
});
const list = (name: string, help: string, o: Partial<FlagSpec> = {}): FlagSpec => ({
  ...{ name, kind: "list", help },
  ...o,
});
const flag = (name: string, help: string, o: Partial<FlagSpec> = {}): FlagSpec => ({
  ...{ name, kind: "switch", help },
  ...o,
});
const whole = { value: "int" };
const bytes = { value: "bytes" };
const duration = { value: "duration" };

/** Limits that `update` can change too. */
export const limitFlags: readonly FlagSpec[] = [
  text("blkio-weight", "Block IO weight relative to others, 10 to 1000, or 0 for none", { value: "uint16" }),
  text("cpu-period", "Period of the CPU limit, in microseconds", whole),
  text("cpu-quota", "CPU time in each period, in microseconds", whole),
  text("cpu-rt-period", "Period of the real-time CPU limit, in microseconds", whole),
  text("cpu-rt-runtime", "Real-time CPU time in each period, in microseconds", whole),
  text("cpu-shares", "CPU weight relative to others", { short: "c", ...whole }),
  text("cpus", "Number of CPUs", { value: "decimal" }),
  text("cpuset-cpus", "CPUs it may run on (0-3, 0,1)"),
  text("cpuset-mems", "Memory nodes it may use (0-3, 0,1)"),
  text("memory", "Memory limit", { short: "m", ...bytes }),
  text("memory-reservation", "Memory soft limit", bytes),
  text("memory-swap", "Limit of memory plus swap: '-1' for unlimited swap", bytes),
  text("pids-limit", "Most processes at once (-1 for unlimited)", whole),
];

const resourceFlags: readonly FlagSpec[] = [
  ...limitFlags,
  list("blkio-weight-device", "Block IO weight for one device"),
  text("cgroup-parent", "Parent cgroup of the container's"),
  text("cgroupns", "Cgroup namespace to use (host|private)"),
  text("cpu-count", "CPU count (Windows only)", { ...whole, hidden: true }),
  text("cpu-percent", "CPU percent (Windows only)", { ...whole, hidden: true }),
  list("device", "Add a host device, or a CDI device (VENDOR/CLASS=NAME), to the container"),
  list("device-cgroup-rule", "Add a rule to the devices the container may use"),
  list("device-read-bps", "Limit bytes per second read from a device"),
  list("device-read-iops", "Limit reads per second from a device"),
  list("device-write-bps", "Limit bytes per second written to a device"),
  list("device-write-iops", "Limit writes per second to a device"),
  list("gpus", "GPU devices to add to the container ('all' for all)", { value: "gpu-request" }),
  text("io-maxbandwidth", "Maximum IO bandwidth (Windows only)", { ...bytes, hidden: true }),
  text("io-maxiops", "Maximum IO per second (Windows only)", { value: "uint", hidden: true }),
  text("kernel-memory", "Kernel memory limit", { ...bytes, hidden: true }),
  text("memory-swappiness", "Swappiness of the container's memory (0 to 100)", whole),
  flag("oom-kill-disable", "Let processes wait for memory where they would be killed"),
  text("oom-score-adj", "How soon the kernel kills it for want of memory (-1000 to 1000)", whole),
  text("shm-size", "Size of /dev/shm", bytes),
  list("storage-opt", "Storage options of the container"),
  list("ulimit", "Ulimit options", { value: "ulimit" }),
];

const networkFlags: readonly FlagSpec[] = [
  list("add-host", "Add a host name and its address (HOST:IP)"),
  list("dns", "Set DNS servers"),
  list("dns-opt", "Set DNS options", { hidden: true }),
  list("dns-option", "Set DNS options"),
  list("dns-search", "Set DNS search domains"),
  text("domainname", "Container NIS domain name"),
  list("expose", "Expose a port or a range of ports"),
  text("hostname", "Container host name", { short: "h" }),
  text("ip", "IPv4 address (e.g., 172.30.100.104)"),
  text("ip6", "IPv6 address (e.g., 2001:db8::33)"),
  list("link", "Add a link to another container"),
  list("link-local-ip", "Add link-local addresses"),
  text("mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
  list("net", "Connect a container to a network", { value: "network", hidden: true }),
  list("net-alias", "Add a network-scoped alias", { hidden: true }),
  list("network", "Connect a container to a network", { value: "network" }),
  list("network-alias", "Add a network-scoped alias"),
  list("publish", "Publish a container's port(s) to the host", { short: "p" }),
  flag("publish-all", "Publish all exposed ports to free ports", { short: "P" }),
];

const healthFlags: readonly FlagSpec[] = [
  text("health-cmd", "Command that checks health"),
  text("health-http", "Address whose answer shows health: http://:PORT/PATH, asked from within its network"),
  text("health-tcp", "Port that is open while it is healthy"),
  text("health-interval", "Time between checks (ms|s|m|h)", duration),
  text("health-retries", "Failures in a row before it is unhealthy", whole),
  text("health-start-interval", "Time between checks while it starts (ms|s|m|h)", duration),
  text("health-start-period", "Time to start in, before failures count (ms|s|m|h)", duration),
  text("health-timeout", "How long one check may take (ms|s|m|h)", duration),
  flag("no-healthcheck", "Do without the image's HEALTHCHECK"),
];

const securityFlags: readonly FlagSpec[] = [
  list("cap-add", "Add Linux capabilities"),
  list("cap-drop", "Drop Linux capabilities"),
  flag("disable-content-trust", "Skip image verification (default true)", { hidden: true }),
  list("group-add", "Add additional groups"),
  text("ipc", "IPC mode to use"),
  text("pid", "PID namespace to use"),
  flag("privileged", "Give extended privileges to this container"),
  flag("read-only", "Mount the container's root file system read-only"),
  list("security-opt", "Security options"),
  list("sysctl", "Sysctl options", { value: "map" }),
  flag("use-api-socket", "Give the container the engine's API socket (experimental)", { hidden: true }),
  text("user", "Name or uid (format: <name|uid>[:<group|gid>])", { short: "u" }),
  text("userns", "User namespace to use"),
  text("uts", "UTS namespace to use"),
];

export const createFlags: readonly FlagSpec[] = [
  ...resourceFlags,
  ...networkFlags,
  ...healthFlags,
  ...securityFlags,
  list("annotation", "Add an annotation, handed on to the OCI runtime", { value: "map" }),
  list("attach", "Attach to STDIN, STDOUT or STDERR", { short: "a" }),
  text("cidfile", "Write the container ID to the file"),
  text("entrypoint", "Use in place of the image's ENTRYPOINT"),
  list("env", "Set environment variables", { short: "e" }),
  list("env-file", "Read environment variables from a file"),
  flag("init", "Run an init in the container that passes on signals and reaps processes"),
  flag("interactive", "Keep STDIN open even if not attached", { short: "i" }),
  text("isolation", "Isolation technology", { hidden: true }),
  list("label", "Set metadata on a container", { short: "l" }),
  list("label-file", "Read labels from a file, one a line"),
  text("log-driver", "Logging driver of the container"),
  list("log-opt", "Log driver options"),
  list("mount", "Mount a file system in the container", { value: "mount" }),
  text("name", "Assign a name to the container"),
  text("platform", "Platform to run, where the image has several"),
  text("pull", 'Pull the image first ("always", "missing", "never") (default "missing")'),
  flag("quiet", "Do without the output of the pull", { short: "q" }),
  text("restart", 'Restart policy for when the container exits or is unhealthy (default "no")'),
  flag("rm", "Remove the container and its anonymous volumes when it exits"),
  text("runtime", "Runtime to use for this container"),
  text("stop-signal", "Signal to stop the container"),
  text("stop-timeout", "Seconds to stop in before it is killed", whole),
  list("tmpfs", "Mount a tmpfs directory"),
  flag("tty", "Allocate a pseudo-TTY", { short: "t" }),
  list("volume", "Bind mount a volume", { short: "v" }),
  text("volume-driver", "Volume driver of the container's volumes"),
  list("volumes-from", "Mount the volumes of other containers"),
  text("workdir", "Working directory in the container", { short: "w" }),
];
