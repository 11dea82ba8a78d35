/** A file system on a directory, by its name and the options of mount(8). Synchronous: not for what asks another machine. */
import { mountRaw, setPropagation, unmount } from "./mount.ts";
import { parseMountOptions } from "./mount-options.ts";

const readOnlyBind = 0x1001;
const remount = 1 << 5;

export interface FileSystemMount {
  /** What is mounted: a device, a path, or a name where the file system needs none. */
  readonly device: string;
  readonly type: string;
  /** As `mount -o` takes them. */
  readonly options: string;
  readonly target: string;
}

/** Undone when a later step fails. @throws Errno whose message has dockerd's form. */
export function mountFileSystem({ device, type, options, target }: FileSystemMount): void {
  const { flags, data, propagation } = parseMountOptions(options);
  const call = (bits: number) =>
    mountRaw(
      ...([device, target, type, bits, data] as const),
      () => `mount ${device}:${target}, flags: 0x${bits.toString(16)}${data && `, data: ${data}`}`,
    );
  call(flags);
  try {
    // A bind mount is made writable, whatever it is asked for.
    if ((flags & readOnlyBind) === readOnlyBind) call(flags | remount);
    if (propagation !== undefined) setPropagation(target, propagation);
  } catch (error) {
    unmount(target, { detach: true });
    throw error;
  }
}
