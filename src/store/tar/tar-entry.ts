/** Pure. What a tar archive says about one file, and the bounds of what is believed. */
import type { BytePath } from "#kernel/files/byte-path.ts";

export type TarKind = "file" | "directory" | "symlink" | "link" | "fifo" | "character" | "block";

/** A stretch of a sparse file that is stored; everything between is a hole. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export interface TarEntry {
  readonly kind: TarKind;
  /** As written in the archive: may be absolute, hold `..`, end in a slash. */
  readonly name: BytePath;
  /** Of a link: what it says, or the name of an earlier entry. */
  readonly linkName: BytePath;
  /** Permission bits with set-user-id, set-group-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file, holes included. */
  readonly sizeBytes: number;
  readonly mtimeNano: bigint;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  /** By name, one character a byte. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Only of sparse files; in order, without overlaps. */
  readonly extents?: readonly Extent[];
}

/** Why an archive is refused; past these it is an attack or damage. */
export const tarLimit = {
  /** Entries in one archive. */
  entries: 4_000_000,
  /** Bytes of one extended header, of all its attributes together. */
  paxBytes: 8 << 20,
  /** Bytes of a name or of what a link says: Linux's PATH_MAX. */
  nameBytes: 4095,
  /** Bytes of one attribute's value: Linux's XATTR_SIZE_MAX. */
  xattrBytes: 65536,
  /** Bytes of one attribute's name: Linux's XATTR_NAME_MAX. */
  xattrNameBytes: 255,
  /** Attributes of one file. */
  xattrs: 1024,
  /** Stored stretches of one sparse file. */
  extents: 1 << 20,
} as const;

export const blockBytes = 512;
