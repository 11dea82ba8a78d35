/**
 * Pure. Which mounts a container has, from what its request and its image say, in Docker's words and with Docker's order.
 * Owns: the meaning of `-v`, `--mount`, `--tmpfs` and an image's volumes. Never: makes one.
 */
import { posix } from "node:path";
import type { ContainerConfig, HostConfig, MountRequest } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { checkIdMap } from "./id-map.ts";

/** A mount as asked for: a volume may have no name yet. */
export interface PlannedMount {
  readonly type: "bind" | "volume" | "tmpfs" | "image";
  /** Of a volume; absent for an anonymous one. */
  readonly name?: string;
  /** Of a bind: the host's path; of an image mount: the image as asked for. */
  readonly source?: string;
  readonly destination: string;
  readonly mode: string;
  readonly readWrite: boolean;
  readonly propagation: string;
  readonly copyUp: boolean;
  /** A bind source that is not there is made, as `-v` does and `--mount` does not. */
  readonly createSource: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  /** Of a volume that is still to be made; the machine's own when absent. */
  readonly driver?: string;
  readonly subpath?: string;
  readonly idMap?: string;
  readonly recursive?: boolean;
  readonly readOnlyBelow?: "no" | "can" | "must";
}

const propagations = new Set(["shared", "rshared", "slave", "rslave", "private", "rprivate"]);
const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/**
 * Sorted so that parents come first. At places that other containers' mounts are `inherited` for, an image has no volume.
 * @throws Fault `invalid` in dockerd's words.
 */
export function planMounts(
  config: ContainerConfig,
  host: HostConfig,
  inherited: ReadonlySet<string> = new Set(),
): PlannedMount[] {
  const driver = host.VolumeDriver ? { driver: host.VolumeDriver } : {};
  const binds = (host.Binds ?? []).map(parseBind).map((mount) => ({ ...mount, ...driver }));
  const asked = [...binds, ...(host.Mounts ?? []).map(parseMount)];
  const taken = new Set<string>();
  for (const { destination } of asked) {
    if (taken.has(destination)) throw new Fault("invalid", `Duplicate mount point: ${destination}`);
    taken.add(destination);
  }
  for (const path of Object.keys(host.Tmpfs ?? {})) {
    const destination = checkedDestination(path, path);
    if (taken.has(destination)) throw new Fault("invalid", `Duplicate mount point: ${destination}`);
    taken.add(destination);
  }
  const images = Object.keys(config.Volumes ?? {})
    .map((path) => checkedDestination(path, path))
    .filter((destination) => !taken.has(destination) && !inherited.has(destination))
    .map((destination) => ({ ...volumeDefaults, ...driver, destination }));
  return parentsFirst([...asked, ...images]);
}

export function parentsFirst<Mount extends { readonly destination: string }>(
  mounts: readonly Mount[],
): Mount[] {
  return mounts.toSorted((a, b) => depth(a.destination) - depth(b.destination));
}

const volumeDefaults = {
  type: "volume",
  mode: "",
  readWrite: true,
  propagation: "",
  copyUp: true,
  createSource: false,
} as const;

function depth(path: string): number {
  return path.split("/").length;
}

/** `[SOURCE:]DESTINATION[:MODE]`; a source that begins with a slash is a path, any other a volume. */
export function parseBind(text: string): PlannedMount {
  const parts = text.split(":");
  if (text === "" || parts.length > 3 || parts.some((part) => part === "")) throw invalidSpec(text);
  const [first = "", second, modeText = ""] = parts;
  if (second === undefined) return { ...volumeDefaults, destination: checkedDestination(first, text) };
  const destination = checkedDestination(second, text);
  const isPath = first.startsWith("/");
  const mode = parseMode(modeText, text, isPath);
  if (isPath)
    return {
      ...{ type: "bind", source: posix.normalize(first), destination, mode: modeText, copyUp: false },
      ...{ readWrite: mode.readWrite, propagation: mode.propagation || "rprivate", createSource: true },
      ...idMapped(mode.idMap),
    };
  if (!volumeName.test(first)) throw invalidName(first);
  const { readWrite, copyUp } = mode;
  const owners = idMapped(mode.idMap);
  return { ...volumeDefaults, ...owners, name: first, destination, mode: modeText || "z", readWrite, copyUp };
}

function parseMode(
  text: string,
  spec: string,
  isPath: boolean,
): { readWrite: boolean; propagation: string; copyUp: boolean; idMap?: string } {
  const seen: ReturnType<typeof parseMode> = { readWrite: true, propagation: "", copyUp: true };
  const groups = new Set<string>();
  for (const word of text === "" ? [] : text.split(",")) {
    let group: string;
    if (word === "ro" || word === "rw") {
      group = "access";
      seen.readWrite = word === "rw";
    } else if (word === "z" || word === "Z") group = "label";
    else if (word === "nocopy" && !isPath) {
      group = "copy";
      seen.copyUp = false;
    } else if (propagations.has(word) && isPath) {
      group = "propagation";
      seen.propagation = word;
    } else if (word === "idmap" || word.startsWith("idmap=")) {
      group = "owners";
      Object.assign(seen, idMapped(word.slice("idmap=".length) || "auto"));
    } else if (["consistent", "cached", "delegated"].includes(word)) group = "consistency";
    else throw new Fault("invalid", `invalid mode: ${text}`);
    if (groups.has(group)) throw new Fault("invalid", `invalid mode: ${text}`);
    groups.add(group);
  }
  if (spec.endsWith(":")) throw invalidSpec(spec);
  return seen;
}

function checkedDestination(path: string, spec: string): string {
  if (!path.startsWith("/"))
    throw new Fault(
      "invalid",
      `invalid volume specification: '${spec}': invalid mount path: '${path}' mount path must be absolute`,
    );
  const clean = posix.normalize(path).replace(/(.)\/+$/, "$1");
  if (clean === "/")
    throw new Fault(
      "invalid",
      `invalid volume specification: '${spec}': invalid specification: destination can't be '/'`,
    );
  return clean;
}

function invalidSpec(text: string): Fault {
  return new Fault("invalid", `invalid volume specification: '${text}'`);
}

export function invalidName(name: string): Fault {
  return new Fault(
    "invalid",
    `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}

export function isVolumeName(name: string): boolean {
  return volumeName.test(name);
}

/** One of `HostConfig.Mounts`. */
export function parseMount(request: MountRequest): PlannedMount {
  const {
    Type: type = "volume",
    Source: source = "",
    Target: target = "",
    ReadOnly: readOnly = false,
  } = request;
  const refuse = (reason: string) =>
    new Fault("invalid", `invalid mount config for type "${type}": ${reason}`);
  if (target === "") throw refuse("field Target must not be empty");
  if (!target.startsWith("/")) throw refuse(`invalid mount path: '${target}' mount path must be absolute`);
  const destination = posix.normalize(target).replace(/(.)\/+$/, "$1");
  if (destination === "/") throw refuse("invalid specification: destination can't be '/'");
  const shared = { destination, readWrite: !readOnly, copyUp: false, createSource: false } as const;
  switch (type) {
    case "bind": {
      if (source === "") throw refuse("field Source must not be empty");
      if (!source.startsWith("/"))
        throw refuse(`invalid mount path: '${source}' mount path must be absolute`);
      const { Propagation: propagation = "", CreateMountpoint: createSource = false } =
        request.BindOptions ?? {};
      if (propagation !== "" && !propagations.has(propagation))
        throw refuse(`invalid propagation mode: ${propagation}`);
      return {
        ...{ ...shared, type, source: posix.normalize(source), mode: "", createSource },
        propagation: propagation || "rprivate",
        ...recursion(request.BindOptions ?? {}),
        ...idMapped(request.BindOptions?.IDMap),
      };
    }
    case "volume": {
      if (source !== "" && !volumeName.test(source)) throw invalidName(source);
      const o = request.VolumeOptions ?? {};
      if (o.Subpath && source === "") throw refuse("must not set Subpath when using anonymous volumes");
      const { Name: driver = "", Options: options } = o.DriverConfig ?? {};
      if (source === "" && readOnly) throw refuse("must not set ReadOnly mode when using anonymous volumes");
      return {
        ...{ ...shared, type, mode: "z", propagation: "", copyUp: o.NoCopy !== true },
        ...(source !== "" && { name: source }),
        ...(o.Labels !== undefined && { labels: o.Labels }),
        ...(driver !== "" && { driver }),
        ...(options !== undefined && { options }),
        ...subpathOf(o.Subpath, refuse),
        ...idMapped(o.IDMap),
      };
    }
    case "image": {
      if (source === "") throw refuse("field Source must not be empty");
      const subpath = subpathOf(request.ImageOptions?.Subpath, refuse);
      return { ...shared, type, source, mode: "", propagation: "rprivate", ...subpath };
    }
    case "tmpfs": {
      if (source !== "") throw refuse("field Source must not be specified");
      return { ...shared, type, mode: tmpfsMode(request), propagation: "" };
    }
    default:
      throw refuse("mount type unknown");
  }
}

function subpathOf(subpath: string | undefined, refuse: (reason: string) => Fault): { subpath?: string } {
  if (subpath === undefined || subpath === "") return {};
  const clean = posix.normalize(subpath);
  if (clean.startsWith("/") || clean === ".." || clean.startsWith("../"))
    throw refuse("subpath must be a relative path within the volume");
  return { subpath: clean };
}

function idMapped(text: string | undefined): { idMap?: string } {
  if (text === undefined || text === "") return {};
  checkIdMap(text);
  return { idMap: text };
}

function recursion(
  options: NonNullable<MountRequest["BindOptions"]>,
): Pick<PlannedMount, "recursive" | "readOnlyBelow"> {
  const { ReadOnlyNonRecursive: no, ReadOnlyForceRecursive: must } = options;
  if (no === true && must === true)
    throw new Fault(
      "invalid",
      "mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive cannot both be set",
    );
  return {
    ...(options.NonRecursive === true && { recursive: false }),
    ...(no === true && { readOnlyBelow: "no" }),
    ...(must === true && { readOnlyBelow: "must" }),
  };
}

function tmpfsMode({ TmpfsOptions: o = {} }: MountRequest): string {
  return [
    ...(o.SizeBytes !== undefined && o.SizeBytes > 0 ? [`size=${o.SizeBytes}`] : []),
    ...(o.Mode !== undefined && o.Mode > 0 ? [`mode=${o.Mode.toString(8)}`] : []),
    ...(o.Options ?? []).map((pair) => pair.join("=")),
  ].join(",");
}
