/** Pure. Images that a container has among its mounts: each as a writable layer of its own, which keeps the image's layers. */
import type { ContainerRecord, MountPoint } from "#spec/container.ts";
import type { ChainId } from "#spec/digest.ts";

export interface ImageMount {
  readonly mount: MountPoint;
  /** Name of the writable layer. */
  readonly layer: string;
  readonly chainId: ChainId | undefined;
}

export function imageMounts({ id, mounts }: Pick<ContainerRecord, "id" | "mounts">): ImageMount[] {
  return mounts.flatMap((mount, number) =>
    mount.type === "image" ? [{ mount, layer: `${id}.${number}`, chainId: mount.image?.chainId }] : [],
  );
}

/** The container that a writable layer is for; undefined for layers of other owners. */
export function containerOfLayer(layer: string): string | undefined {
  return /^([0-9a-f]{64})(\.\d+)?$/.exec(layer)?.[1];
}
