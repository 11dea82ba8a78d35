import type { ContainerRecord, ReadyMount } from "#spec/container.ts";

/** What the runtime is given to make a container's process of. */
export interface RunRequest {
  readonly record: ContainerRecord;
  readonly rootfs: string;
  readonly netnsPath?: string | undefined;
  readonly hostname: string;
  readonly files: {
    readonly log: string;
    readonly hosts: string;
    readonly hostname: string;
    readonly resolvConf: string;
  };
  readonly mounts: readonly ReadyMount[];
  readonly joined: { readonly pid?: number; readonly ipc?: number };
}
