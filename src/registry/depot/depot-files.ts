/** The depot on a file system: keys are paths beneath a root; wholeness by rename, growth alone by flock. */
import { randomBytes } from "node:crypto";
import { fstatSync, writeSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type FileLock, lockFile } from "#kernel/files/file-lock.ts";
import { explainFull } from "#store/disk-full.ts";
import { checkKey, type Depot, type DepotEntry, type Growing } from "./depot.ts";

/** Of a file that grows, written behind its sender's back, so that its end is not waited for long. */
const syncBytes = 32 << 20;
/** Where files are before they have their name; what a crash leaves there is taken by the collector. */
const incoming = "incoming";

export class FileDepot implements Depot {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  static async open(root: string): Promise<FileDepot> {
    await mkdir(join(root, incoming), { recursive: true, mode: 0o700 });
    return new FileDepot(root);
  }

  async stat(key: string): Promise<DepotEntry | undefined> {
    const found = await orMissing(stat(this.#path(key)));
    return found?.isFile() === true ? { sizeBytes: found.size, touchedMs: found.mtimeMs } : undefined;
  }

  async read(key: string): Promise<Uint8Array | undefined> {
    return await orMissing(readFile(this.#path(key)));
  }

  async write(key: string, bytes: Uint8Array | string): Promise<void> {
    const path = join(this.#root, incoming, randomBytes(16).toString("hex"));
    try {
      const file = await open(path, "wx", 0o600);
      try {
        await file.writeFile(bytes);
        await file.datasync();
      } finally {
        await file.close();
      }
      await this.#rename(path, this.#path(key));
    } catch (error) {
      await rm(path, { force: true });
      throw explainFull(error, this.#root);
    }
  }

  async touch(key: string): Promise<boolean> {
    const now = new Date();
    return (await orMissing(utimes(this.#path(key), now, now).then(() => true))) ?? false;
  }

  async remove(key: string): Promise<boolean> {
    return (await orMissing(rm(this.#path(key)).then(() => true))) ?? false;
  }

  async move(from: string, to: string): Promise<boolean> {
    if ((await this.stat(from)) === undefined) return false;
    return (await orMissing(this.#rename(this.#path(from), this.#path(to)).then(() => true))) ?? false;
  }

  async list(prefix: string): Promise<string[]> {
    const entries = await orMissing(readdir(this.#path(prefix), { withFileTypes: true }));
    const names = (entries ?? []).map((each) => (each.isDirectory() ? `${each.name}/` : each.name));
    return names.sort((a, b) => (a < b ? -1 : 1));
  }

  async body(key: string, range?: { readonly start: number; readonly end: number }) {
    if ((await this.stat(key)) === undefined) return undefined;
    const file = Bun.file(this.#path(key));
    return range === undefined ? file : file.slice(range.start, range.end).stream();
  }

  async grow(key: string, o: { readonly create?: boolean } = {}): Promise<Growing | undefined> {
    const path = this.#path(key);
    if (o.create === true) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    else if ((await this.stat(key)) === undefined) return undefined;
    const lock = lockFile(path);
    if (lock === undefined) return undefined;
    try {
      const file = await orMissing(open(path, "r+"));
      const opened = await file?.stat();
      // Finished or cancelled between a look and the lock: what was locked is another file.
      if (file !== undefined && opened?.ino === fstatSync(lock.fd).ino)
        return new GrowingFile(file, lock, opened.size, {
          root: this.#root,
          rename: async (to) => await this.#rename(path, this.#path(to)),
          remove: async () => await rm(path, { force: true }),
        });
      await file?.close();
    } catch (error) {
      lock[Symbol.dispose]();
      throw explainFull(error, this.#root);
    }
    lock[Symbol.dispose]();
    return undefined;
  }

  async sweep(beforeMs: number, signal: AbortSignal): Promise<number> {
    let count = 0;
    for (const name of await this.list(incoming)) {
      signal.throwIfAborted();
      const found = await this.stat(`${incoming}/${name}`);
      if (found !== undefined && found.touchedMs < beforeMs && (await this.remove(`${incoming}/${name}`)))
        count++;
    }
    return count;
  }

  /** Makes the folders it needs; they stay when they are empty again. */
  async #rename(path: string, to: string): Promise<void> {
    try {
      await rename(path, to);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await mkdir(dirname(to), { recursive: true, mode: 0o700 });
      await rename(path, to);
    }
    const folder = await open(dirname(to), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  #path(key: string): string {
    checkKey(key);
    return join(this.#root, key);
  }
}

interface Ends {
  readonly root: string;
  rename(key: string): Promise<void>;
  remove(): Promise<void>;
}

class GrowingFile implements Growing {
  readonly #file: FileHandle;
  readonly #lock: FileLock;
  readonly #ends: Ends;
  #sizeBytes: number;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #lost: { readonly thrown: unknown } | undefined;

  constructor(file: FileHandle, lock: FileLock, sizeBytes: number, ends: Ends) {
    this.#file = file;
    this.#lock = lock;
    this.#sizeBytes = sizeBytes;
    this.#ends = ends;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** It only ever grows, and alone. */
  get mark(): string {
    return String(this.#sizeBytes);
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const at = this.#sizeBytes + done;
        // Some ten KiB into the page cache cost a third of what handing them to another thread does; that they leave it
        // behind our back (below) keeps the kernel from making us wait for room there.
        done += writeSync(this.#file.fd, bytes, done, bytes.length - done, at);
      }
    } catch (error) {
      throw explainFull(error, this.#ends.root);
    }
    this.#sizeBytes += bytes.length;
    this.#unsyncedBytes += bytes.length;
    if (this.#unsyncedBytes >= syncBytes && this.#syncing === undefined) {
      this.#unsyncedBytes = 0;
      this.#syncing = this.#sync();
    }
  }

  /** Beside what comes next. The kernel tells of bytes it lost only once: `keep` must hear of it. */
  async #sync(): Promise<void> {
    try {
      await this.#file.datasync();
    } catch (thrown) {
      this.#lost ??= { thrown };
    }
    this.#syncing = undefined;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(end - start);
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, start + done);
      if (bytesRead === 0) throw new Error(`the upload has no bytes from ${start + done} on`);
      done += bytesRead;
    }
    return bytes;
  }

  async keep(key: string): Promise<void> {
    try {
      await this.#syncing;
      if (this.#lost !== undefined) throw this.#lost.thrown;
      await this.#file.datasync();
      await this.#ends.rename(key);
    } catch (error) {
      throw explainFull(error, this.#ends.root);
    }
  }

  async discard(): Promise<void> {
    await this.#ends.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#syncing;
    await this.#file.close();
    this.#lock[Symbol.dispose]();
  }
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return code === "ENOENT" || code === "ENOTDIR";
}

async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
