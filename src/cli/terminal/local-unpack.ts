/**
 * An archive into local files, as the docker CLI unpacks what it copied.
 * Promises: an archive cannot reach out of the directory, not by names and not by links it brought itself; links that
 * were there before are the user's, and followed. Owners are not taken over: files become the user's own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  type Stats,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { dirname, join, posix } from "node:path";
import { Readable } from "node:stream";
import { type Extract, extract, type Header } from "tar-stream";
import { Fault } from "#spec/fault.ts";
import { type CopyPlan, renamed } from "./copy-paths.ts";

export async function unpackLocal(tar: AsyncIterable<Uint8Array>, plan: CopyPlan): Promise<void> {
  const unpacker = new Unpacker(plan);
  const parser = extract();
  const source = Readable.from(tar, { objectMode: false });
  let failure: unknown;
  source.on("error", (error) => {
    failure = error;
    parser.destroy(error);
  });
  source.pipe(parser);
  try {
    for await (const entry of parser) await unpacker.take(entry);
  } catch (error) {
    throw failure ?? error;
  } finally {
    source.destroy();
  }
  unpacker.end();
}

/** One file in the archive: its header and, read, its content. */
type Entry = Extract extends AsyncIterable<infer One> ? One : never;

class Unpacker {
  readonly #plan: CopyPlan;
  /** Directories known to be real, or a way that the user made. */
  readonly #trusted = new Set<string>();
  readonly #links = new Set<string>();
  readonly #times: [path: string, mtime: Date][] = [];

  constructor(plan: CopyPlan) {
    this.#plan = plan;
  }

  async take(entry: Entry): Promise<void> {
    const header = entry.header;
    const path = this.#place(header.name);
    const isDirectory = header.type === "directory";
    const there = look(path);
    this.#checkKind(path, there, isDirectory);
    if (isDirectory && path === join(this.#plan.directory) && there?.isDirectory()) {
      entry.resume();
      return;
    }
    if (there !== undefined && !(isDirectory && there.isDirectory())) {
      rmSync(path, { recursive: true, force: true });
      this.#links.delete(path);
    }
    if (header.type === "file" || header.type === "contiguous-file") {
      await writeFile(path, entry);
      return;
    }
    entry.resume();
    if (isDirectory) this.#directory(path, header, there);
    else await this.#other(path, header);
  }

  /** Where an entry goes; the directories above are made. @throws Fault `invalid` when it would lead out. */
  #place(name: string): string {
    const path = this.#inside(name);
    const parent = dirname(path);
    if (path === join(this.#plan.directory) || this.#trusted.has(parent)) return path;
    for (let at = parent; at.length > join(this.#plan.directory).length; at = dirname(at))
      if (this.#links.has(at))
        throw new Fault("invalid", `${JSON.stringify(name)} lies behind a link that the archive brought`);
    mkdirSync(parent, { recursive: true, mode: 0o755 });
    this.#trusted.add(parent);
    return path;
  }

  #inside(name: string): string {
    const { directory, rename } = this.#plan;
    const relative = posix.join(".", renamed(name, rename));
    if (relative === ".." || relative.startsWith("../"))
      throw new Fault("invalid", `${JSON.stringify(name)} is outside of ${JSON.stringify(directory)}`);
    return join(directory, relative).replace(/(.)\/+$/, "$1");
  }

  #checkKind(path: string, there: Stats | undefined, isDirectory: boolean): void {
    if (there === undefined || there.isDirectory() === isDirectory) return;
    const [was, is] = isDirectory ? ["non-directory", "directory"] : ["directory", "non-directory"];
    const place = this.#plan.directory;
    throw new Fault(
      "invalid",
      `cannot overwrite ${was} ${JSON.stringify(path)} with ${is} ${JSON.stringify(place)}`,
    );
  }

  #directory(path: string, { mode = 0o755, mtime }: Header, there: Stats | undefined): void {
    if (there?.isDirectory() !== true) mkdirSync(path, { mode: 0o700 });
    chmodSync(path, mode);
    if (mtime !== undefined) this.#times.push([path, mtime]);
  }

  async #other(path: string, header: Header): Promise<void> {
    const { linkname = "", mtime = new Date(0), mode = 0o644 } = header;
    if (header.type === "symlink") {
      symlinkSync(linkname ?? "", path);
      this.#links.add(path);
      this.#trusted.clear();
      lutimesSync(path, mtime, mtime);
    } else if (header.type === "link") {
      const existing = this.#place(linkname ?? "");
      if (look(existing)?.isSymbolicLink() === true) this.#links.add(path);
      linkSync(existing, path);
    } else {
      await makeNode(path, header, mode);
      utimesSync(path, mtime, mtime);
    }
  }

  end(): void {
    for (const [path, mtime] of this.#times.reverse()) utimesSync(path, mtime, mtime);
  }
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return undefined;
    throw error;
  }
}

async function writeFile(path: string, entry: Entry): Promise<void> {
  const { mode = 0o644, mtime = new Date(0) } = entry.header;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const part of entry as AsyncIterable<Uint8Array>)
      for (let at = 0; at < part.length; ) at += writeSync(fd, part, at);
    fchmodSync(fd, mode);
    futimesSync(fd, mtime, mtime);
  } finally {
    closeSync(fd);
  }
}

/** Pipes and devices; the machine's own program makes them. */
async function makeNode(path: string, header: Header, mode: number): Promise<void> {
  const { type, devmajor = 0, devminor = 0 } = header;
  const letter = type === "fifo" ? "p" : type === "block-device" ? "b" : "c";
  const numbers = letter === "p" ? [] : [String(devmajor), String(devminor)];
  const octal = (mode & 0o777).toString(8);
  const child = spawn("mknod", ["-m", octal, "--", path, letter, ...numbers], { stdio: "ignore" });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Fault("denied", `cannot make ${path}, a ${type}: this needs root`);
}
