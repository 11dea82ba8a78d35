/** Device nodes a container gets, and which ones its processes may use. */
import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceMapping } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { OciDevice, OciDeviceRule } from "#spec/oci-runtime.ts";

export interface DeviceAccess {
  readonly nodes: OciDevice[];
  readonly rules: OciDeviceRule[];
}

/** dockerd's list: making nodes is allowed, using only those that every container has. */
const defaultRules: readonly OciDeviceRule[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
    [5, 2],
  ].map(
    ([major, minor]) => ({ allow: true, type: "c" as const, major, minor, access: "rwm" }) as OciDeviceRule,
  ),
  { allow: true, type: "c", major: 136, access: "rwm" },
];

/** Directories of /dev that are file systems of their own. */
const leftOut = new Set(["pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"]);
/** Nodes that the low-level runtime makes itself. */
const madeAnyway = new Set(["null", "zero", "full", "random", "urandom", "tty", "ptmx"]);

/** @throws Fault `invalid` for a device that is not there or a rule that cannot be read. */
export async function deviceAccess(o: {
  readonly devices: readonly DeviceMapping[];
  readonly rules: readonly string[];
  readonly privileged: boolean;
}): Promise<DeviceAccess> {
  if (o.privileged) {
    const nodes = await nodesBeneath("/dev", "/dev");
    // All are there already; what can be asked for is another name.
    const named = o.devices.filter(
      (each) => each.PathInContainer && each.PathInContainer !== each.PathOnHost,
    );
    const given = await Promise.all(named.map(mapped));
    return {
      nodes: [
        ...nodes.filter(({ path }) => !madeAnyway.has(path.slice("/dev/".length))),
        ...given.flatMap((each) => each.nodes),
      ],
      rules: [{ allow: true, access: "rwm" }],
    };
  }
  const given = await Promise.all(o.devices.map(mapped));
  return {
    nodes: given.flatMap(({ nodes }) => nodes),
    rules: [...defaultRules, ...given.flatMap(({ rules }) => rules), ...o.rules.map(parseRule)],
  };
}

async function mapped(device: DeviceMapping): Promise<DeviceAccess> {
  const host = device.PathOnHost ?? "";
  const inside = device.PathInContainer || host;
  const access = device.CgroupPermissions || "rwm";
  if (!/^[rwm]{1,3}$/.test(access)) throw new Fault("invalid", `invalid device mode: ${access}`);
  const found = await stat(host).catch((cause: unknown) => {
    throw new Fault(
      "invalid",
      `error gathering device information while adding custom device "${host}": no such file or directory`,
      { cause },
    );
  });
  const node = nodeOf(found, inside);
  const nodes = node !== undefined ? [node] : found.isDirectory() ? await nodesBeneath(host, inside) : [];
  if (nodes.length === 0)
    throw new Fault(
      "invalid",
      `error gathering device information while adding custom device "${host}": not a device node`,
    );
  const rules = nodes.map(
    ({ type, major, minor }) => ({ allow: true, type, major, minor, access }) as OciDeviceRule,
  );
  return { nodes, rules };
}

async function nodesBeneath(host: string, inside: string): Promise<OciDevice[]> {
  const nodes: OciDevice[] = [];
  for (const entry of await readdir(host, { withFileTypes: true }).catch(() => [])) {
    if (leftOut.has(entry.name)) continue;
    const [path, target] = [join(host, entry.name), join(inside, entry.name)];
    if (entry.isDirectory()) nodes.push(...(await nodesBeneath(path, target)));
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      const found = await stat(path).catch(() => undefined);
      const node = found === undefined ? undefined : nodeOf(found, target);
      if (node !== undefined) nodes.push(node);
    }
  }
  return nodes;
}

/** Undefined for what is no device, or not there. */
export function nodeOf(found: Stats | undefined, path: string): OciDevice | undefined {
  if (found === undefined) return undefined;
  if (!found.isCharacterDevice() && !found.isBlockDevice()) return undefined;
  const type = found.isBlockDevice() ? "b" : "c";
  const { mode, uid, gid } = found;
  return { type, path, ...deviceNumbers(found.rdev), fileMode: mode & 0o777, uid, gid };
}

/** Takes a device number apart as glibc's gnu_dev_major and gnu_dev_minor do (makedev(3)). */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const device = BigInt(rdev);
  const major = Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn));
  const minor = Number((device & 0xffn) | ((device >> 12n) & ~0xffn));
  return { major, minor };
}

/** `c 1:3 rwm`, with `*` for any number. */
export function parseRule(text: string): OciDeviceRule {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) throw new Fault("invalid", `invalid device cgroup rule format: '${text}'`);
  const [, type = "a", major = "*", minor = "*", access = ""] = match;
  return {
    allow: true,
    type: type as "a" | "c" | "b",
    ...(major !== "*" && { major: Number(major) }),
    ...(minor !== "*" && { minor: Number(minor) }),
    access,
  };
}
