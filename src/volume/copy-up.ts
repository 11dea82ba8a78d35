/** An image's files at a volume's place, into the volume when it is new and empty. */
import { readdirSync, statSync } from "node:fs";
import { Beneath } from "#kernel/beneath.ts";
import { bytePath, cleanBytePath } from "#kernel/byte-path.ts";
import { closeDescriptor, descriptorPath, openFlag, statDescriptor } from "#kernel/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import { treeTar } from "#store/layer-seal.ts";
import { unpackTar } from "#store/unpack.ts";

/** Owner, mode and content. Links in the container's path stay in its root. Nothing there is nothing to copy. */
export async function copyUp(rootfs: string, destination: string, volume: string): Promise<void> {
  const path = cleanBytePath(destination);
  if (path === undefined || !statSync(volume).isDirectory() || readdirSync(volume).length > 0) return;
  using root = Beneath.open(rootfs);
  let source: number;
  try {
    source = root.open(path, openFlag.read | openFlag.directory);
  } catch (error) {
    if (error instanceof Errno && (error.code === "ENOENT" || error.code === "ENOTDIR")) return;
    throw error;
  }
  try {
    const { uid, gid, mode } = statDescriptor(source);
    await unpackTar(treeTar(descriptorPath(source), undefined), volume);
    using target = Beneath.open(volume);
    target.chown(bytePath(""), uid, gid);
    target.chmod(bytePath(""), mode & 0o7777);
  } finally {
    closeDescriptor(source);
  }
}
