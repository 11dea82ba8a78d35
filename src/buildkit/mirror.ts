/**
 * A kept copy of a client's directory, and what is known of each of its files.
 * Owns: `files/` and the index beside it. Promises: writes nothing outside `files/`, whatever paths come: a parent is
 * always a directory this copy made itself; a copy that a crash left half changed is never used again.
 */
import { createHash, hash as hashOnce } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fchmodSync,
  futimesSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { type FileStat, kindOf, permissionsOf } from "#spec/file-packets.ts";
import { clearAttributes, portableAttributes, setPortableAttributes } from "#store/trees/file-attributes.ts";
import { type MirrorAbout, readIndex, writeIndex } from "./mirror-index.ts";

/** Entries of one context. */
export const entriesMax = 1_000_000;
const pathBytesMax = 4096;

export class Mirror {
  readonly directory: string;
  readonly #root: string;
  /** Path to what it was like when it was written. */
  readonly #before = new Map<string, string>();
  readonly #now = new Map<string, string>();
  /** SHA-256 in hex of what files without attributes hold, by path. */
  readonly #hashes = new Map<string, string>();
  /** Listed, content on its way. */
  readonly #coming = new Set<string>();
  /** With the times they should have. */
  readonly #directories = new Map<string, bigint | undefined>([["", undefined]]);
  /** Directories whose times this sync changes. */
  readonly #touched = new Set<string>();
  #sizeBytes = 0;
  #listed = 0;

  private constructor(root: string) {
    this.#root = root;
    this.directory = join(root, "files");
  }

  /** Makes an empty one, or begins to change one that is there. */
  static async open(root: string): Promise<Mirror> {
    const mirror = new Mirror(root);
    mkdirSync(mirror.directory, { recursive: true, mode: 0o700 });
    for (const [path, like, hash] of await readIndex(root)) {
      mirror.#before.set(path, like);
      if (typeof hash === "string") mirror.#hashes.set(path, hash);
    }
    await rm(join(root, "about.json"), { force: true });
    return mirror;
  }

  /** Of what this sync listed. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Undefined for what is no file with content, or has attributes beside it. Of a copy that is whole. */
  contentHash(path: string): string | undefined {
    return this.#hashes.get(path);
  }

  /**
   * Puts one entry of the listing in its place, parents first. True when its content is wanted.
   * @throws Fault `invalid` for a path that cannot be.
   */
  place(stat: FileStat): boolean {
    const { path } = stat;
    this.#check(path);
    const kind = kindOf(stat.mode);
    const like = likeness(stat);
    const before = this.#before.get(path);
    this.#before.delete(path);
    this.#now.set(path, like);
    if (kind === "directory") this.#directories.set(path, stat.modTime);
    if (kind === "file") this.#sizeBytes += stat.size;
    if (before === like) return false;
    this.#hashes.delete(path);
    this.#touched.add(parentOf(path));
    const host = join(this.directory, path);
    if (kind === "directory") {
      if (before?.startsWith("directory") !== true) {
        if (before !== undefined) this.#remove(path);
        mkdirSync(host);
      }
      chmodSync(host, permissionsOf(stat.mode));
      if (before?.startsWith("directory") === true) clearAttributes(host);
      setPortableAttributes(host, portableAttributes(stat.xattrs));
      this.#touched.add(path);
      return false;
    }
    if (before !== undefined) this.#remove(path);
    if (kind === "file" && stat.size > 0) {
      this.#now.delete(path);
      this.#coming.add(path);
      return true;
    }
    this.#make(stat, kind === "file" ? "empty" : kind, host);
    return false;
  }

  /** A file whose content is whole. */
  write(stat: FileStat, parts: readonly Uint8Array[]): void {
    const [only, ...more] = parts;
    if (only !== undefined && more.length === 0) {
      this.#writeOne(stat, only);
      return;
    }
    const file = this.begin(stat);
    try {
      for (const part of parts) file.write(part);
    } finally {
      file.end();
    }
  }

  /** Most files come in one part, and need no hash that can wait for more. */
  #writeOne(stat: FileStat, content: Uint8Array): void {
    const descriptor = this.#create(stat);
    try {
      writeAll(descriptor, content);
    } finally {
      this.#complete(stat, descriptor, content.length);
    }
    this.#note(stat, hashOnce("sha256", content, "hex"));
  }

  /** A file whose content comes in parts. */
  begin(stat: FileStat): { write(part: Uint8Array): void; end(): void } {
    const descriptor = this.#create(stat);
    const digest = createHash("sha256");
    let bytes = 0;
    return {
      write: (part) => {
        digest.update(part);
        bytes += part.length;
        writeAll(descriptor, part);
      },
      end: () => {
        this.#complete(stat, descriptor, bytes);
        if (bytes > 0) this.#note(stat, digest.digest("hex"));
      },
    };
  }

  #note(stat: FileStat, hash: string): void {
    if (portableAttributes(stat.xattrs).length === 0) this.#hashes.set(stat.path, hash);
  }

  #create(stat: FileStat): number {
    return openSync(`${this.directory}/${stat.path}`, "wx", 0o600);
  }

  #complete(stat: FileStat, descriptor: number, bytes: number): void {
    fchmodSync(descriptor, permissionsOf(stat.mode));
    const attributes = portableAttributes(stat.xattrs);
    if (attributes.length > 0) setPortableAttributes(`${this.directory}/${stat.path}`, attributes);
    // It may have grown or shrunk since it was listed.
    this.#sizeBytes += bytes - stat.size;
    futimesSync(descriptor, seconds(stat.modTime), seconds(stat.modTime));
    closeSync(descriptor);
    this.#coming.delete(stat.path);
    this.#now.set(stat.path, likeness(stat));
  }

  /** Removes what was not listed and makes the copy whole. */
  async finish(about: Omit<MirrorAbout, "sizeBytes" | "index" | "bootId">): Promise<MirrorAbout> {
    for (const path of [...this.#before.keys()].reverse()) {
      this.#remove(path);
      this.#touched.add(parentOf(path));
    }
    for (const path of this.#touched) {
      const time = this.#directories.get(path);
      if (time !== undefined) utimesSync(join(this.directory, path), seconds(time), seconds(time));
    }
    const index = [...this.#now].map(([path, like]) => [path, like, this.#hashes.get(path) ?? null] as const);
    return await writeIndex(this.#root, index, { ...about, sizeBytes: this.#sizeBytes });
  }

  #check(path: string): void {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (
      name === "" ||
      name === "." ||
      name === ".." ||
      path.includes("\0") ||
      Buffer.byteLength(path) > pathBytesMax
    )
      throw new Fault(
        "invalid",
        `the client lists a path that cannot be: ${JSON.stringify(path.slice(0, 200))}`,
      );
    if (!this.#directories.has(parentOf(path)))
      throw new Fault("invalid", `the client lists ${JSON.stringify(path)} in no directory of its listing`);
    if (this.#now.has(path) || this.#coming.has(path))
      throw new Fault("invalid", `the client lists ${JSON.stringify(path)} twice`);
    if (++this.#listed > entriesMax)
      throw new Fault("invalid", `a build context can have ${entriesMax} files at most: see .dockerignore`);
  }

  #make(stat: FileStat, kind: string, host: string): void {
    if (kind === "empty") this.write(stat, []);
    else if (kind === "symlink") {
      symlinkSync(stat.linkname, host);
      lutimesSync(host, seconds(stat.modTime), seconds(stat.modTime));
    }
    // Devices, pipes and sockets of the client's machine mean nothing on this one.
    else this.#now.delete(stat.path);
  }

  #remove(path: string): void {
    this.#hashes.delete(path);
    rmSync(join(this.directory, path), { recursive: true, force: true });
  }
}

/** Equal for what need not be sent again. A directory's time changes with what is in it. */
function likeness(stat: FileStat): string {
  const kind = kindOf(stat.mode);
  const attributes = portableAttributes(stat.xattrs);
  const named = attributes.length === 0 ? "" : ` ${fingerprint(attributes)}`;
  if (kind === "directory") return `directory ${stat.mode}${named}`;
  return `${kind} ${stat.mode} ${stat.size} ${stat.modTime} ${stat.linkname}${named}`;
}

function fingerprint(attributes: readonly (readonly [string, Uint8Array])[]): string {
  const hash = createHash("sha256");
  for (const [name, value] of attributes) hash.update(`${name}\0${value.length}\0`).update(value);
  return hash.digest("hex");
}

function writeAll(descriptor: number, part: Uint8Array): void {
  for (let at = 0; at < part.length; ) at += writeSync(descriptor, part, at);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function seconds(nano: bigint): number {
  return Number(nano) / 1e9;
}
