/**
 * What files hold, noted while they were written: who asks later need not read them again.
 * Owns: SHA-256 by inode. Right for a tree that is written once and then only removed, like an archive unpacked.
 */
import { createHash, type Hash, hash as hashOnce } from "node:crypto";
import type { FileStat } from "#kernel/files/files-at.ts";
import type { TarSink } from "./tar-reader.ts";

/** About 40 MB of memory; files beyond are read again. */
const filesMax = 250_000;

export class ContentHashes {
  readonly #byInode = new Map<number, string>();

  /** In hex, of one that has no extended attributes; undefined for a file that was not noted. `stat` is of a regular file in the tree. */
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
  /** Of the file that is being written: what came so far, or all of it. */
  #digest: Hash | string | undefined;
  #sizeBytes = 0;

  constructor(hashes: ContentHashes) {
    this.#hashes = hashes;
  }

  complete(stat: FileStat): void {
    const digest = this.#digest;
    if (digest === undefined) this.#hashes.forget(stat);
    else this.#hashes.note(stat, typeof digest === "string" ? digest : digest.digest("hex"));
  }

  before(writer: TarSink): TarSink {
    return {
      entry: (entry) => {
        const wanted = writer.entry(entry);
        // Of a file with holes only what is between them comes by; one with attributes holds more than content.
        const whole = wanted && entry.extents === undefined && entry.xattrs.size === 0;
        this.#digest = whole ? emptyHash : undefined;
        this.#sizeBytes = entry.sizeBytes;
        return wanted;
      },
      content: (bytes, offset) => {
        writer.content(bytes, offset);
        if (this.#digest !== undefined) this.#add(bytes, this.#digest);
      },
      endEntry: () => writer.endEntry(),
    };
  }

  /** Small files come whole, and need no hash that can wait for more. */
  #add(bytes: Buffer, before: Hash | string): void {
    if (bytes.length === this.#sizeBytes) this.#digest = hashOnce("sha256", bytes, "hex");
    else this.#digest = (typeof before === "string" ? createHash("sha256") : before).update(bytes);
  }
}

const emptyHash = hashOnce("sha256", "", "hex");
