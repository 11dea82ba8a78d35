/**
 * What files hold, noted while they were written: who asks later need not read them again.
 * Owns: SHA-256 by inode. Right for a tree that is written once and then only removed, like an archive unpacked.
 */
import { createHash, type Hash } from "node:crypto";
import { type FileStat, statDescriptor } from "#kernel/files/files-at.ts";
import type { TarSink } from "./tar-reader.ts";

/** About 40 MB of memory; files beyond are read again. */
const filesMax = 250_000;

export class ContentHashes {
  readonly #byInode = new Map<number, string>();

  /** In hex; undefined for a file that was not noted. `stat` is of a regular file in the tree. */
  of(stat: { readonly ino: number }): string | undefined {
    return this.#byInode.get(stat.ino);
  }

  /** A file that is complete. A later one may have the inode of one that is gone: its own note counts. */
  note(stat: FileStat, hash: string): void {
    const inode = Number(stat.inode);
    this.#byInode.delete(inode);
    if (Number.isSafeInteger(inode) && this.#byInode.size < filesMax) this.#byInode.set(inode, hash);
  }

  /** A file of which nothing is known. */
  forget(stat: FileStat): void {
    this.#byInode.delete(Number(stat.inode));
  }
}

/** Notes the files of an archive on their way to the disk; the policy of who writes them. */
export class ContentNotes {
  readonly #hashes: ContentHashes;
  #digest: Hash | undefined;

  constructor(hashes: ContentHashes) {
    this.#hashes = hashes;
  }

  complete(fd: number): void {
    const stat = statDescriptor(fd);
    if (this.#digest === undefined) this.#hashes.forget(stat);
    else this.#hashes.note(stat, this.#digest.digest("hex"));
  }

  before(writer: TarSink): TarSink {
    return {
      entry: (entry) => {
        const wanted = writer.entry(entry);
        // Of a file with holes only what is between them comes by.
        this.#digest = wanted && entry.extents === undefined ? createHash("sha256") : undefined;
        return wanted;
      },
      content: (bytes, offset) => {
        writer.content(bytes, offset);
        this.#digest?.update(bytes);
      },
      endEntry: () => writer.endEntry(),
    };
  }
}
