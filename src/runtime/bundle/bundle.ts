/**
 * Pure. A container as the OCI runtime specification describes it, as Docker would have it run.
 * Owns: how records become the specification. Never: looks at the machine; what it needs to know is handed in.
 */
import type { ContainerConfig, HostConfig, ReadyMount } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type {
  Confinement,
  OciCapabilities,
  OciDevice,
  OciNamespace,
  OciProcess,
  OciResources,
  OciSpec,
} from "#spec/oci-runtime.ts";
import { initPathInside } from "./init.ts";
import { renderMounts } from "./mounts.ts";
import { renderRlimits } from "./resources.ts";
import { checkSysctls } from "./sysctls.ts";
import type { ResolvedUser } from "./user.ts";

export interface BundleInput {
  /** Merged with the image's. */
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly rootfs: string;
  readonly hostname: string;
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string };
  readonly mounts: readonly ReadyMount[];
  /** Whether the kernel can make mounts read-only with all below them. */
  readonly recursiveReadOnly: boolean;
  readonly user: ResolvedUser;
  readonly cgroupsPath: string;
  /** Docker's default: of its own with version 2 of cgroups, the host's with version 1. */
  readonly cgroupNamespace: boolean;
  /** Absent: the host's network. */
  readonly netnsPath?: string | undefined;
  readonly joined: { readonly pid?: number; readonly ipc?: number };
  /** Host path of /dev/shm where it is shared with other containers. */
  readonly sharedMemory?: string | undefined;
  readonly confinement: Confinement;
  readonly deviceNodes: readonly OciDevice[];
  readonly resources: OciResources;
  /** What processes get that ask for nothing: conmon protects itself, and they would inherit that. */
  readonly oomScoreAdj: number;
  /** Path on the machine of a program that is the first process, and starts the command. */
  readonly init?: string;
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** @throws Fault `invalid` when there is no command, or a limit cannot be. */
export function renderBundle(o: BundleInput): OciSpec {
  const { config, host, confinement } = o;
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (command.length === 0) throw new Fault("invalid", "no command specified");
  const args = o.init === undefined ? command : [initPathInside, "--", ...command];
  const shared = sharedPropagation(o.mounts);
  const ownUts = host.UTSMode !== "host";
  const rlimits = renderRlimits(host.Ulimits ?? []);
  const [height, width] = host.ConsoleSize ?? [0, 0];
  return {
    ociVersion: "1.0.2",
    process: {
      ...renderProcess({
        args,
        env: environment(config, o.hostname, o.user.home),
        cwd: config.WorkingDir || "/",
        tty: config.Tty === true,
        user: o.user,
        confinement,
      }),
      ...(config.Tty === true && height > 0 && width > 0 && { consoleSize: { height, width } }),
      ...(rlimits.length > 0 && { rlimits }),
      oomScoreAdj: host.OomScoreAdj || o.oomScoreAdj,
    },
    root: { path: o.rootfs, readonly: host.ReadonlyRootfs === true },
    ...(ownUts && { hostname: o.hostname }),
    ...(ownUts && config.Domainname && { domainname: config.Domainname }),
    mounts: [
      ...renderMounts({ ...o, ...confinement }),
      ...(o.init === undefined
        ? []
        : [{ destination: initPathInside, type: "bind", source: o.init, options: ["bind", "ro"] }]),
    ],
    ...(host.Annotations && { annotations: { ...host.Annotations } }),
    linux: {
      namespaces: namespaces(o),
      cgroupsPath: o.cgroupsPath,
      resources: o.resources,
      devices: [...o.deviceNodes],
      sysctl: sysctls(o),
      ...(confinement.seccomp !== undefined && { seccomp: confinement.seccomp }),
      maskedPaths: [...confinement.maskedPaths],
      readonlyPaths: [...confinement.readonlyPaths],
      ...(shared !== undefined && { rootfsPropagation: shared }),
    },
  };
}

/** What the first process and execs have in common. */
export function renderProcess(o: {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly tty: boolean;
  readonly user: ResolvedUser;
  readonly confinement: Confinement;
}): OciProcess {
  const { uid, gid, additionalGids } = o.user;
  const { confinement } = o;
  return {
    terminal: o.tty,
    user: { uid, gid, ...(additionalGids.length > 0 && { additionalGids: [...additionalGids] }) },
    args: [...o.args],
    env: [...o.env],
    cwd: o.cwd,
    capabilities: capabilitySets(confinement.capabilities, uid),
    noNewPrivileges: confinement.noNewPrivileges,
    ...(confinement.apparmorProfile !== undefined && { apparmorProfile: confinement.apparmorProfile }),
  };
}

/** Of a user that is not root only the bound: the kernel gives the rest by set-user-id programs and file capabilities. */
function capabilitySets(names: readonly string[], uid: number): OciCapabilities {
  const bounding = [...names];
  return uid === 0 ? { bounding, effective: bounding, permitted: bounding } : { bounding };
}

/** Docker's own variables first, so that the image's and the user's win. */
export function environment(config: ContainerConfig, hostname: string, home: string): string[] {
  const given = config.Env ?? [];
  const named = new Set(given.map((each) => each.split("=", 1)[0]));
  const own = [
    `PATH=${defaultPath}`,
    `HOSTNAME=${hostname}`,
    ...(config.Tty === true ? ["TERM=xterm"] : []),
  ].filter((each) => !named.has(each.split("=", 1)[0]));
  const set = given.filter((each) => each.includes("="));
  return [...own, ...set, ...(named.has("HOME") ? [] : [`HOME=${home}`])];
}

function namespaces(o: BundleInput): OciNamespace[] {
  const { host, joined } = o;
  const list: OciNamespace[] = [{ type: "mount" }];
  if (o.netnsPath !== undefined) list.push({ type: "network", path: o.netnsPath });
  if (host.UTSMode !== "host") list.push({ type: "uts" });
  if (joined.pid !== undefined) list.push({ type: "pid", path: `/proc/${joined.pid}/ns/pid` });
  else if (host.PidMode !== "host") list.push({ type: "pid" });
  if (joined.ipc !== undefined) list.push({ type: "ipc", path: `/proc/${joined.ipc}/ns/ipc` });
  else if (host.IpcMode !== "host") list.push({ type: "ipc" });
  if (o.cgroupNamespace) list.push({ type: "cgroup" });
  return list;
}

/** As dockerd: low ports and pings need no capability in a network of the container's own. */
function sysctls(o: BundleInput): Record<string, string> {
  const own: Record<string, string> =
    o.netnsPath === undefined || o.confinement.privileged
      ? {}
      : { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" };
  checkSysctls(o.host.Sysctls ?? {}, {
    network: o.netnsPath !== undefined,
    ipc: o.host.IpcMode !== "host",
    uts: o.host.UTSMode !== "host",
  });
  return { ...own, ...o.host.Sysctls };
}

/** A bind mount that passes mounts on needs a root that does. */
function sharedPropagation(mounts: readonly ReadyMount[]): string | undefined {
  const asked = mounts.map(({ propagation }) => propagation);
  if (asked.some((each) => each === "shared" || each === "rshared")) return "rshared";
  return asked.some((each) => each === "slave" || each === "rslave") ? "rslave" : undefined;
}

/** The largest number JSON carries safely stands for the largest of 64 bits: no limit. */
export function encodeSpec(spec: OciSpec | OciProcess): string {
  return JSON.stringify(spec).replaceAll(`:${Number.MAX_SAFE_INTEGER}`, ":18446744073709551615");
}
