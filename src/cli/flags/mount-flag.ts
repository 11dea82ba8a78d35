/** Pure. `--mount type=bind,source=/a,target=/b,readonly` as the API's mount. */
import { resolve } from "node:path";
import type { MountRequest } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { csvFields } from "./csv.ts";
import { parseSize } from "./units.ts";

type Setter = (mount: MountRequest, value: string, key: string) => void;

/** Keys that may stand without a value, which then is true. */
const switches = new Set(["readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"]);

const setters: Readonly<Record<string, Setter>> = {
  type: (mount, value) => {
    mount.Type = value.toLowerCase() as NonNullable<MountRequest["Type"]>;
  },
  source: setSource,
  src: setSource,
  target: setTarget,
  dst: setTarget,
  destination: setTarget,
  readonly: setReadOnly,
  ro: setReadOnly,
  consistency: (mount, value) => {
    mount.Consistency = value.toLowerCase();
  },
  "bind-propagation": (mount, value) => bind(mount, { Propagation: value.toLowerCase() }),
  "bind-nonrecursive": () => {
    throw refuse("bind-nonrecursive is deprecated, use bind-recursive=disabled instead");
  },
  "bind-recursive": setRecursive,
  "bind-create-src": (mount, value, key) => bind(mount, { CreateMountpoint: boolean(key, value) }),
  idmap: (mount, value) => {
    if (mount.Type === "volume") volume(mount, { IDMap: value });
    else bind(mount, { IDMap: value });
  },
  "volume-subpath": (mount, value) => volume(mount, { Subpath: value }),
  "volume-nocopy": (mount, value, key) => volume(mount, { NoCopy: boolean(key, value) }),
  "volume-label": (mount, value) =>
    volume(mount, { Labels: { ...mount.VolumeOptions?.Labels, ...pair(value) } }),
  "volume-driver": (mount, value) =>
    volume(mount, { DriverConfig: { ...mount.VolumeOptions?.DriverConfig, Name: value } }),
  "volume-opt": (mount, value) => {
    const { DriverConfig = {} } = mount.VolumeOptions ?? {};
    volume(mount, {
      DriverConfig: { ...DriverConfig, Options: { ...DriverConfig.Options, ...pair(value) } },
    });
  },
  "image-subpath": (mount, value) => {
    mount.ImageOptions = { ...mount.ImageOptions, Subpath: value };
  },
  "tmpfs-size": (mount, value, key) =>
    tmpfs(mount, { SizeBytes: orRefuse(() => parseSize(value), `invalid value for ${key}: ${value}`) }),
  "tmpfs-mode": (mount, value, key) => {
    if (!/^[0-7]{1,10}$/.test(value)) throw refuse(`invalid value for ${key}: ${value}`);
    tmpfs(mount, { Mode: Number.parseInt(value, 8) });
  },
};

/** A relative source is taken from `cwd`. @throws Fault `invalid` in docker's words. */
export function parseMountFlag(spec: string, cwd: string): MountRequest {
  if (spec.trim() === "") throw refuse("value is empty");
  const mount: MountRequest = { Type: "volume" };
  // Which options it is among depends on the type.
  const fields = csvFields(spec.trim()).sort((a, b) => Number(isIdMap(a)) - Number(isIdMap(b)));
  for (const field of fields) setField(mount, field);
  if (mount.Source?.startsWith(".") === true) mount.Source = resolve(cwd, mount.Source);
  checkOptions(mount);
  return mount;
}

function isIdMap(field: string): boolean {
  return field.startsWith("idmap=");
}

function setField(mount: MountRequest, field: string): void {
  const at = field.indexOf("=");
  const [name, value] = at < 0 ? [field, undefined] : [field.slice(0, at), field.slice(at + 1)];
  if (name.trim() !== name)
    throw refuse(`invalid option '${name.trim()}' in '${field}': option should not have whitespace`);
  if (value?.trim() === "") throw refuse(`invalid value for '${name}': value is empty`);
  if (value !== undefined && value.trim() !== value)
    throw refuse(`invalid value for '${name}' in '${field}': value should not have whitespace`);
  const key = name.toLowerCase();
  if (value === undefined && !switches.has(key))
    throw refuse(`invalid field '${field}' must be a key=value pair`);
  const set = setters[key];
  if (set === undefined) throw refuse(`unexpected key '${key}' in '${field}'`);
  set(mount, value ?? "true", key);
}

function refuse(reason: string): Fault {
  return new Fault("invalid", reason);
}

function orRefuse<R>(parse: () => R, reason: string): R {
  try {
    return parse();
  } catch {
    throw refuse(reason);
  }
}

function boolean(key: string, value: string): boolean {
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw refuse(
    `invalid value for '${key}': invalid boolean value (${JSON.stringify(value)}): must be one of "true", "1", "false", or "0" (default "true")`,
  );
}

function pair(text: string): Record<string, string> {
  const at = text.indexOf("=");
  const [key, value] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  return key === "" ? {} : { [key]: value };
}

function setSource(mount: MountRequest, value: string): void {
  mount.Source = value;
}

function setTarget(mount: MountRequest, value: string): void {
  mount.Target = value;
}

function setReadOnly(mount: MountRequest, value: string, key: string): void {
  mount.ReadOnly = boolean(key, value);
}

function setRecursive(mount: MountRequest, value: string, key: string): void {
  if (value === "enabled") return;
  if (value === "disabled") bind(mount, { NonRecursive: true });
  else if (value === "writable") bind(mount, { ReadOnlyNonRecursive: true });
  else if (value === "readonly") bind(mount, { ReadOnlyForceRecursive: true });
  else
    throw refuse(
      `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    );
}

function bind(mount: MountRequest, more: NonNullable<MountRequest["BindOptions"]>): void {
  mount.BindOptions = { ...mount.BindOptions, ...more };
}

function volume(mount: MountRequest, more: NonNullable<MountRequest["VolumeOptions"]>): void {
  mount.VolumeOptions = { ...mount.VolumeOptions, ...more };
}

function tmpfs(mount: MountRequest, more: NonNullable<MountRequest["TmpfsOptions"]>): void {
  mount.TmpfsOptions = { ...mount.TmpfsOptions, ...more };
}

function checkOptions(mount: MountRequest): void {
  for (const kind of ["bind", "volume", "image", "tmpfs"] as const) {
    const key = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}Options` as keyof MountRequest;
    if (mount[key] !== undefined && mount.Type !== kind)
      throw refuse(`cannot mix '${kind}-*' options with mount type '${mount.Type}'`);
  }
  const options = mount.BindOptions ?? {};
  if (options.ReadOnlyNonRecursive === true && mount.ReadOnly !== true)
    throw refuse("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  if (options.ReadOnlyForceRecursive !== true) return;
  if (mount.ReadOnly !== true)
    throw refuse("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
  if (options.Propagation !== "rprivate")
    throw refuse(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
}
