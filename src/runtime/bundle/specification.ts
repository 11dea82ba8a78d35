/**
 * A container's specification for the low-level runtime, from its record and what is on the machine and in its image.
 * Owns: where facts for the bundle come from. Never: starts anything.
 */
import { posix } from "node:path";
import type { CgroupLayout } from "#kernel/cgroups/cgroup.ts";
import { kernelAtLeast } from "#kernel/host.ts";
import { readCdiDirectories } from "#runtime/devices/cdi-files.ts";
import { injectCdi } from "#runtime/devices/cdi-inject.ts";
import { cdiKinds, resolveCdi } from "#runtime/devices/cdi-spec.ts";
import { cdiNames } from "#runtime/devices/device-requests.ts";
import { deviceAccess } from "#runtime/devices/devices.ts";
import type { ContainerRecord, HostConfig } from "#spec/container.ts";
import type { Confinement, OciResources, OciSpec } from "#spec/oci-runtime.ts";
import { blockIoOf } from "./block-io.ts";
import { renderBundle } from "./bundle.ts";
import { findInit, wantsInit } from "./init.ts";
import { divideResources, type OwnLimits, renderResources } from "./resources.ts";
import { ensureWorkingDirectory, openRoot, readUserFiles } from "./rootfs.ts";
import type { RunRequest } from "./run-request.ts";
import { resolveUser } from "./user.ts";

/** mount_setattr(2) came with Linux 5.12. */
const recursiveReadOnly = kernelAtLeast(5, 12);

export interface SpecificationParts {
  readonly cgroups: CgroupLayout;
  /** Whether swap can be limited. */
  readonly swap: boolean;
  /** What processes get that ask for nothing. */
  readonly oomScoreAdj: number;
  /** Of the cgroup above all containers. */
  readonly groupName: string;
  readonly cdiDirectories: readonly string[];
  readonly init: { readonly always: boolean; readonly path: string | undefined };
  readonly confine: (record: Pick<ContainerRecord, "host">) => Confinement;
}

export interface Specified {
  readonly spec: OciSpec;
  /** Limits that are the engine's to set, before the process starts. */
  readonly limits: OwnLimits;
}

/** @throws Fault `invalid` for what the image or the machine does not have. */
export async function specify(
  request: RunRequest & { readonly sharedMemory: string | undefined },
  parts: SpecificationParts,
): Promise<Specified> {
  const { record, rootfs } = request;
  const { config, host } = record;
  using root = openRoot(rootfs);
  const user = resolveUser(config.User ?? "", readUserFiles(root), host.GroupAdd ?? []);
  if (config.WorkingDir) ensureWorkingDirectory(root, config.WorkingDir);
  const confinement = parts.confine(record);
  const access = await deviceAccess({
    devices: host.Devices ?? [],
    rules: host.DeviceCgroupRules ?? [],
    privileged: confinement.privileged,
  });
  const blockIo = await blockIoOf(host);
  const all = renderResources(host, { devices: access.rules, blockIo, kernel: parts });
  const v2 = parts.cgroups.kind === "v2";
  const [resources, limits] = divideResources(host, all);
  const spec = renderBundle({
    ...{ ...request, config, host, user, confinement, resources },
    recursiveReadOnly,
    deviceNodes: access.nodes,
    cgroupsPath: `/${groupOf(record, parts.groupName)}`,
    cgroupNamespace: (host.CgroupnsMode || (v2 ? "private" : "host")) === "private",
    oomScoreAdj: parts.oomScoreAdj,
    ...(wantsInit(host, parts.init.always) && { init: parts.init.path ?? findInit() }),
  });
  await addRequestedDevices(spec, host, parts.cdiDirectories);
  return { spec, limits };
}

/** A container's limits alone, for changing them while it runs. Devices stay as they are. */
export async function limitsOf(
  host: HostConfig,
  parts: Pick<SpecificationParts, "swap" | "cgroups">,
): Promise<[resources: OciResources, own: OwnLimits]> {
  const { devices: _, ...limits } = renderResources(host, {
    devices: [],
    blockIo: await blockIoOf(host),
    kernel: parts,
  });
  const [, own] = divideResources(host, limits);
  return [limits, parts.cgroups.kind === "v2" ? {} : own];
}

async function addRequestedDevices(
  spec: OciSpec,
  { DeviceRequests }: HostConfig,
  paths: readonly string[],
): Promise<void> {
  if (DeviceRequests === undefined || DeviceRequests === null || DeviceRequests.length === 0) return;
  const directories = await readCdiDirectories(paths);
  const names = cdiNames(DeviceRequests, cdiKinds(directories));
  await injectCdi(spec, resolveCdi(directories, names));
}

/** Without a leading slash; never above the first group, whatever the parent is called. */
export function groupOf(record: ContainerRecord, name: string): string {
  const parent = posix.join("/", record.host.CgroupParent || name).slice(1);
  return posix.join(parent, record.id);
}
