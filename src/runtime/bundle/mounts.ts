/** Pure. What is mounted in a container and where: Docker's defaults, the engine's files, the user's mounts. */
import type { HostConfig, ReadyMount } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { OciMount } from "#spec/oci-runtime.ts";

export interface MountsInput {
  readonly host: HostConfig;
  readonly privileged: boolean;
  readonly writableCgroups: boolean;
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string };
  readonly mounts: readonly ReadyMount[];
  /** Whether the kernel can make a mount read-only with all below it (mount_setattr(2), Linux 5.12). */
  readonly recursiveReadOnly: boolean;
  /** Host path of the memory shared with other containers; absent for some of its own. */
  readonly sharedMemory?: string | undefined;
}

/** Docker's size of /dev/shm. */
const shmSizeBytes = 64 << 20;

export function sharedMemoryBytes(host: HostConfig): number {
  return host.ShmSize || shmSizeBytes;
}

/** Parents before what is mounted beneath them. A user's mount takes the place of a default one. */
export function renderMounts(o: MountsInput): OciMount[] {
  const wanted = [...userMounts(o), ...tmpfsMounts(o.host.Tmpfs ?? {})];
  const taken = new Set(wanted.map(({ destination }) => clean(destination)));
  const defaults = [...systemMounts(o), ...engineFiles(o)].filter(
    ({ destination }) => !taken.has(destination),
  );
  return [...defaults, ...wanted.sort((a, b) => depth(a.destination) - depth(b.destination))];
}

function systemMounts(o: MountsInput): OciMount[] {
  const readOnly = o.privileged ? [] : ["ro"];
  const cgroups = o.writableCgroups ? [] : ["ro"];
  const quiet = ["nosuid", "noexec", "nodev"];
  const mounts: OciMount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: quiet },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, ...readOnly] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...quiet, ...cgroups] },
  ];
  return [...mounts, ...ipcMounts(o)];
}

function ipcMounts({ host, sharedMemory }: MountsInput): OciMount[] {
  const quiet = ["nosuid", "noexec", "nodev"];
  const [shm, queue] = ["/dev/shm", "/dev/mqueue"];
  const bound = (source: string, destination: string): OciMount => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", "rprivate", ...quiet],
  });
  // Shows the queues of the namespace it is mounted in, the host's included; not every host has it mounted itself.
  const messages: OciMount = { destination: queue, type: "mqueue", source: "mqueue", options: quiet };
  if (host.IpcMode === "host") return [messages, bound(shm, shm)];
  if (sharedMemory !== undefined) return [messages, bound(sharedMemory, shm)];
  if (host.IpcMode === "none") return [messages];
  const options = [...quiet, "mode=1777", `size=${sharedMemoryBytes(host)}`];
  return [messages, { destination: shm, type: "tmpfs", source: "shm", options }];
}

/** Files the engine writes; a read-only root makes them so too. */
function engineFiles({ files, host }: MountsInput): OciMount[] {
  const options = ["rbind", "rprivate", ...(host.ReadonlyRootfs === true ? ["ro"] : [])];
  return (
    [
      ["/etc/resolv.conf", files.resolvConf],
      ["/etc/hostname", files.hostname],
      ["/etc/hosts", files.hosts],
    ] as const
  ).map(([destination, source]) => ({ destination, type: "bind", source, options }));
}

function userMounts({ mounts, recursiveReadOnly }: MountsInput): OciMount[] {
  return mounts.map((mount) => {
    const { destination, source, readWrite } = mount;
    if (mount.type === "tmpfs")
      return { destination, type: "tmpfs", source: "tmpfs", options: tmpfsOptions(mount.mode, readWrite) };
    const { recursive = true, propagation } = mount;
    // crun binds recursively when any option does something recursively.
    const passed = recursive ? propagation || "rprivate" : (propagation || "private").replace(/^r/, "");
    const access = readWrite ? [] : [readOnlyOption(mount, recursiveReadOnly)];
    // crun sets all flags anew: what is not said again, a bind would be free of.
    const kept = (mount.restrictions ?? []).filter((word) => readWrite || word !== "ro");
    return {
      destination,
      type: "bind",
      source,
      options: [recursive ? "rbind" : "bind", passed, ...access, ...kept],
    };
  });
}

/** @throws Fault `unsupported` where everything below has to be read-only and the kernel cannot. */
function readOnlyOption({ readOnlyBelow, recursive, single }: ReadyMount, can: boolean): "ro" | "rro" {
  if (readOnlyBelow === "must" && !can)
    throw new Fault("unsupported", "rro (recursively read-only) mounts need Linux 5.12 or newer");
  // crun opens the target of a recursive one as a directory.
  if (single === true) return "ro";
  return can && readOnlyBelow !== "no" && recursive !== false ? "rro" : "ro";
}

function tmpfsMounts(tmpfs: Readonly<Record<string, string>>): OciMount[] {
  return Object.entries(tmpfs).map(([destination, options]) => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: tmpfsOptions(options, true),
  }));
}

const opposites: Readonly<Record<string, string>> = {
  exec: "noexec",
  suid: "nosuid",
  dev: "nodev",
  rw: "ro",
};

/** Docker's defaults, each unless the user says otherwise. */
function tmpfsOptions(text: string, readWrite: boolean): string[] {
  const given = text.split(",").filter((option) => option !== "");
  const defaults = ["noexec", "nosuid", "nodev", ...(readWrite ? [] : ["ro"])];
  const denied = new Set(given.map((option) => opposites[option]));
  return [...defaults.filter((option) => !denied.has(option) && !given.includes(option)), ...given];
}

function clean(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}

function depth(path: string): number {
  return clean(path).split("/").length;
}
