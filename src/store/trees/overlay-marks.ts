/**
 * How overlayfs and OCI layers say that something below is gone.
 * In a directory: a character device 0:0 in place of a name, and an attribute on a directory that hides all below.
 * In a tar: an empty file `.wh.NAME`, and `.wh..wh..opq` in the directory (OCI image-spec, layer.md, "Whiteouts").
 */
import type { Beneath } from "#kernel/files/beneath.ts";
import type { BytePath } from "#kernel/files/byte-path.ts";
import { type FileStat, fileKind } from "#kernel/files/files-at.ts";

export const whiteoutPrefix = ".wh.";
/** Names that only tools of old union file systems make. */
export const whiteoutMetaPrefix = ".wh..wh.";
export const opaqueName = ".wh..wh..opq" as BytePath;
const opaqueAttribute = "trusted.overlay.opaque";
const overlayAttributePrefix = "trusted.overlay.";

export function isWhiteout(stat: FileStat): boolean {
  return (stat.mode & fileKind.mask) === fileKind.character && stat.major === 0 && stat.minor === 0;
}

export function isDirectory(stat: FileStat | undefined): stat is FileStat {
  return stat !== undefined && (stat.mode & fileKind.mask) === fileKind.directory;
}

export function isOpaque(tree: Beneath, path: BytePath): boolean {
  return tree.getXattr(path, opaqueAttribute)?.toString() === "y";
}

export function makeOpaque(tree: Beneath, path: BytePath): void {
  tree.setXattr(path, opaqueAttribute, Buffer.from("y"));
}

/** Hides `path` of the layers below. @throws Errno `EEXIST`. */
export function makeWhiteout(tree: Beneath, path: BytePath): void {
  tree.makeNode(path, fileKind.character, 0, 0);
}

/** Attributes that steer the overlay and the kernel, and belong to no file's content. */
export function isHousekeeping(attribute: string): boolean {
  return (
    attribute.startsWith(overlayAttributePrefix) ||
    attribute === "security.selinux" ||
    attribute === "security.evm" ||
    attribute === "security.ima"
  );
}
