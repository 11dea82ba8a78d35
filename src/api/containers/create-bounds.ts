/**
 * How much a create request may hold, so that none grows records, bundles and answers without end.
 * Pure. Each bound is far above what the kernel or Docker's own tools make use of.
 */
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

/** Linux's HOST_NAME_MAX (gethostname(2)). */
export const hostnameBytesMax = 64;
export const nameBytesMax = 255;
/** execve(2) takes strings of up to 128 KiB (MAX_ARG_STRLEN). */
export const argumentBytesMax = 128 * 1024;
/** All arguments, and all variables, together: a quarter of a stack limit of 8 MiB, as the kernel has it. */
export const argumentsBytesMax = 2 * 1024 * 1024;
export const argumentsMax = 4096;
export const variablesMax = 4096;
export const labelsMax = 1024;
export const labelBytesMax = 64 * 1024;
export const labelsBytesMax = 1024 * 1024;
export const mountsMax = 512;
export const portsMax = 65_536;
export const listMax = 1024;
/** A path the kernel takes (PATH_MAX). */
export const pathBytesMax = 4096;

/** @throws Fault `invalid` naming the field, the bound and what there is. */
export function checkBounds(name: string | undefined, config: ContainerConfig, host: HostConfig): void {
  bytes("the name", name ?? "", nameBytesMax);
  hostname("Hostname", config.Hostname);
  hostname("Domainname", config.Domainname);
  strings("Env", config.Env, { count: variablesMax, each: argumentBytesMax, all: argumentsBytesMax });
  const words = { count: argumentsMax, each: argumentBytesMax, all: argumentsBytesMax };
  strings("Cmd", config.Cmd, words);
  strings("Entrypoint", config.Entrypoint, words);
  strings("Healthcheck.Test", config.Healthcheck?.Test, words);
  map("Labels", config.Labels, { count: labelsMax, each: labelBytesMax, all: labelsBytesMax });
  map("HostConfig.Annotations", host.Annotations, {
    count: labelsMax,
    each: labelBytesMax,
    all: labelsBytesMax,
  });
  map("HostConfig.Sysctls", host.Sysctls, { count: listMax, each: pathBytesMax, all: labelsBytesMax });
  bytes("WorkingDir", config.WorkingDir ?? "", pathBytesMax);
  bytes("User", config.User ?? "", hostnameBytesMax * 8);
  checkMounts(config, host);
  count("ExposedPorts", Object.keys(config.ExposedPorts ?? {}).length, portsMax);
  count("HostConfig.PortBindings", Object.keys(host.PortBindings ?? {}).length, portsMax);
  for (const key of lists) count(`HostConfig.${key}`, host[key]?.length ?? 0, listMax);
}

const lists = [
  "CapAdd",
  "CapDrop",
  "DeviceCgroupRules",
  "DeviceRequests",
  "Devices",
  "Dns",
  "DnsOptions",
  "DnsSearch",
  "ExtraHosts",
  "GroupAdd",
  "Links",
  "MaskedPaths",
  "ReadonlyPaths",
  "SecurityOpt",
  "Ulimits",
] as const;

function checkMounts(config: ContainerConfig, host: HostConfig): void {
  const paths = [
    ...(host.Binds ?? []),
    ...Object.keys(config.Volumes ?? {}),
    ...Object.entries(host.Tmpfs ?? {}).flat(),
    ...(host.Mounts ?? []).flatMap(({ Source = "", Target = "" }) => [Source, Target]),
  ];
  const mounts =
    (host.Binds?.length ?? 0) +
    (host.Mounts?.length ?? 0) +
    (host.VolumesFrom?.length ?? 0) +
    Object.keys(host.Tmpfs ?? {}).length +
    Object.keys(config.Volumes ?? {}).length;
  count("mounts", mounts, mountsMax);
  for (const path of paths) bytes("a mount", path, 2 * pathBytesMax);
}

function refuse(what: string, seen: number, most: number, unit: string): never {
  throw new Fault("invalid", `${what} has ${seen} ${unit}; at most ${most} are allowed`);
}

function bytes(what: string, text: string, most: number): void {
  const seen = Buffer.byteLength(text);
  if (seen > most) refuse(what, seen, most, "bytes");
}

function hostname(field: string, text = ""): void {
  const seen = Buffer.byteLength(text);
  if (seen > hostnameBytesMax)
    throw new Fault(
      "invalid",
      `${field.toLowerCase()} ${JSON.stringify(text.slice(0, hostnameBytesMax))}… is too long (maximum ${hostnameBytesMax} bytes)`,
    );
  if (text.includes("\0")) throw new Fault("invalid", `${field.toLowerCase()} must not hold a NUL`);
}

function count(what: string, seen: number, most: number): void {
  if (seen > most) refuse(what, seen, most, "entries");
}

interface Bound {
  readonly count: number;
  readonly each: number;
  readonly all: number;
}

function strings(field: string, list: readonly string[] | null | undefined, most: Bound): void {
  if (list === undefined || list === null) return;
  count(field, list.length, most.count);
  let total = 0;
  for (const each of list) {
    if (each.includes("\0")) throw new Fault("invalid", `${field} must not hold a NUL`);
    bytes(`an entry of ${field}`, each, most.each);
    total += Buffer.byteLength(each) + 1;
  }
  if (total > most.all) refuse(field, total, most.all, "bytes");
}

function map(field: string, given: Readonly<Record<string, string>> | null | undefined, most: Bound): void {
  strings(
    field,
    Object.entries(given ?? {}).map(([key, value]) => `${key}=${value}`),
    most,
  );
}
