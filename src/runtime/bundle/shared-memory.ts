/**
 * /dev/shm that containers share. A mount of another mount namespace cannot be bound: what is to be shared is mounted on
 * the host, in the run's directory, and bound into every container that takes part.
 */
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { mountTmpfs, unmount } from "#kernel/mounts/mount.ts";
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { OciSpec } from "#spec/oci-runtime.ts";
import { sharedMemoryBytes } from "./mounts.ts";

const nameInRun = "shm";

/** Mounts memory for a container that others may join; its path. `removeRun` takes it away. */
export function mountSharedMemory(directory: string, host: HostConfig): string {
  const path = join(directory, nameInRun);
  mkdirSync(path, { recursive: true });
  mountTmpfs(path, {
    sizeBytes: sharedMemoryBytes(host),
    mode: 0o1777,
    noSuid: true,
    noDev: true,
    noExec: true,
  });
  return path;
}

/** Pure. Where the memory of a running container is on the host. @throws Fault `conflict` when it is its alone. */
export function sharedMemoryOf(donor: { readonly id: string; readonly spec: OciSpec | undefined }): string {
  const mount = donor.spec?.mounts.find(({ destination }) => destination === "/dev/shm");
  if (mount?.type === "bind" && mount.source !== undefined) return mount.source;
  throw new Fault(
    "conflict",
    `can't join IPC of container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
  );
}

/** A run's directory, with what is mounted in it. Idempotent. */
export async function removeRun(directory: string): Promise<void> {
  unmount(join(directory, nameInRun), { detach: true });
  await rm(directory, { recursive: true, force: true });
}
