/**
 * A container's files as it sees them, for those who look in from outside: its root file system with its volumes, binds
 * and name files in their places, and, while it runs, its tmpfs mounts. As in Docker, not what the runtime mounts (/proc,
 * /sys, /dev) nor what the container mounted itself.
 */
import { statfsSync } from "node:fs";
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, bytePath, cleanBytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, descriptorPath, openAt, openFlag } from "#kernel/files/files-at.ts";
import { type MountedPart, MountedTree } from "#kernel/files/mounted-tree.ts";
import type { Tree } from "#kernel/files/tree.ts";
import { Errno } from "#kernel/libc.ts";
import type { HostConfig, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { openPart } from "./volume-part.ts";

export interface ContainerTreeRequest {
  /** A descriptor of the root file system; taken over. */
  readonly root: number;
  readonly host: HostConfig;
  readonly mounts: readonly MountPoint[];
  /** Host paths of the files the engine writes for it; absent before its first run. */
  readonly files?:
    | { readonly hosts: string; readonly hostname: string; readonly resolvConf: string }
    | undefined;
  /** A descriptor of the root as its process sees it, while one runs; taken over. */
  readonly live?: number | undefined;
  /** To write to: what is read-only then refuses. */
  readonly writing: boolean;
}

export type ContainerTree = MountedTree;
/** Files, wherever they are. */
export type FileTree = Tree;

const currentDirectory = -100;
const tmpfsMagic = 0x01021994;

export function openContainerTree(o: ContainerTreeRequest): ContainerTree {
  const readOnlyRoot = o.host.ReadonlyRootfs === true;
  const live = o.live === undefined ? undefined : new Beneath(o.live);
  const tmpfs = live === undefined ? [] : tmpfsParts(o, live);
  const parts = [...nameFiles(o), ...mountedParts(o.mounts), ...tmpfs];
  const unique = new Map(parts.map((part) => [part.destination, part]));
  const sorted = [...unique.values()].sort((a, b) => depth(a.destination) - depth(b.destination));
  return new MountedTree(o.root, { parts: sorted, needs: live, readOnlyRoot, writing: o.writing });
}

function depth(path: string): number {
  return path.split("/").length;
}

function nameFiles({ files, host }: ContainerTreeRequest): MountedPart[] {
  if (files === undefined) return [];
  const readOnly = host.ReadonlyRootfs === true;
  const all = [
    ["etc/hosts", files.hosts],
    ["etc/hostname", files.hostname],
    ["etc/resolv.conf", files.resolvConf],
  ] as const;
  return all.map(([path, source]) => ({ destination: bytePath(path), readOnly, open: () => opened(source) }));
}

function mountedParts(mounts: readonly MountPoint[]): MountedPart[] {
  return mounts.flatMap(({ type, destination, source, subpath, readWrite }) => {
    if (type === "tmpfs") return [];
    const open = () => (subpath === undefined ? opened(source) : openPart(source, subpath));
    return [{ destination: clean(destination), readOnly: !readWrite, open }];
  });
}

function opened(source: string): number {
  try {
    return openAt(currentDirectory, bytePath(source), openFlag.path);
  } catch (error) {
    if (!(error instanceof Errno) || (error.code !== "ENOENT" && error.code !== "ENOTDIR")) throw error;
    throw new Fault("not-found", `mount source path '${source}' does not exist: make it again`, {
      cause: error,
    });
  }
}

/** The memory a container has as files is nowhere but in its own mounts. */
function tmpfsParts({ host, mounts }: ContainerTreeRequest, live: Beneath): MountedPart[] {
  const asked = mounts.filter(({ type }) => type === "tmpfs");
  const places: (readonly [path: string, readOnly: boolean])[] = [
    ["/dev/shm", false],
    ...asked.map(({ destination, readWrite }) => [destination, !readWrite] as const),
    ...Object.entries(host.Tmpfs ?? {}).map(
      ([destination, options]) => [destination, options.split(",").includes("ro")] as const,
    ),
  ];
  return places.map(([path, readOnly]) => {
    const destination = clean(path);
    return { destination, readOnly, open: () => memoryAt(live, destination) };
  });
}

/** Undefined when the container took it away, or put something else there. */
function memoryAt(live: Beneath, path: BytePath): number | undefined {
  let fd: number;
  try {
    fd = live.open(path, openFlag.path | openFlag.directory);
  } catch (error) {
    if (error instanceof Errno) return undefined;
    throw error;
  }
  if (statfsSync(descriptorPath(fd)).type === tmpfsMagic) return fd;
  closeDescriptor(fd);
  return undefined;
}

function clean(path: string): BytePath {
  return cleanBytePath(bytePath(path)) ?? bytePath("");
}
