/** Single files of a build's result, as clients ask for them. Paths cannot leave the result, links included. */
import { readSync } from "node:fs";
import type { BuildResult } from "#build/request/build-request.ts";
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, bytePath, joinPath, pathText } from "#kernel/files/byte-path.ts";
import { closeDescriptor, openFlag, statDescriptor } from "#kernel/files/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";
import { type FileStatWritten, goMode } from "#spec/file-packets.ts";
import { pathMatcher } from "#spec/go-text.ts";
import type { BuildkitBuilder } from "./buildkit-parts.ts";
import { entryOf } from "./send-files.ts";

/** Of a file read at once: what one message carries. */
export const readBytesMax = 3 << 20;
/** Of a directory read at once: what one message carries, with names of an ordinary length. */
const entriesMax = 20_000;

/** @throws Fault `not-found`; `invalid` for what is no file, or more than `readBytesMax` of one. */
export async function readFileOf(
  builder: BuildkitBuilder,
  result: BuildResult,
  path: string,
  range: { readonly Offset: number; readonly Length: number } | undefined,
): Promise<Uint8Array> {
  return await opened(builder, result, path, (fd) => {
    const { sizeBytes: size } = statDescriptor(fd);
    const offset = range?.Offset ?? 0;
    const length = Math.min(range?.Length || size, Math.max(0, size - offset));
    if (length > readBytesMax)
      throw new Fault("invalid", `${path} is larger than the ${readBytesMax} bytes that can be read at once`);
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
  });
}

/** @throws Fault `not-found`. */
export async function statFileOf(
  builder: BuildkitBuilder,
  result: BuildResult,
  path: string,
): Promise<FileStatWritten> {
  return await opened(builder, result, path, (fd) => {
    const { mode, uid, gid, sizeBytes: size, mtimeNano } = statDescriptor(fd);
    return { path, mode: goMode(mode), uid, gid, size, modTime: mtimeNano };
  });
}

/**
 * What a directory holds, in the order of the names; `pattern` as Go's `filepath.Match`, empty for all.
 * @throws Fault `not-found`; `invalid` for more than `entriesMax`.
 */
export async function readDirectoryOf(
  builder: BuildkitBuilder,
  result: BuildResult,
  path: string,
  pattern: string,
): Promise<FileStatWritten[]> {
  const matches = pattern === "" ? () => true : pathMatcher(pattern);
  const [first] = result.perPlatform;
  if (first === undefined) throw new Fault("not-found", `${path}: no such file or directory`);
  await using tree = await builder.tree(first);
  using files = Beneath.open(tree.root);
  try {
    const clean = path.replace(/^\/+|\/+$/g, "");
    const directory = clean === "" ? ("" as BytePath) : files.resolve(bytePath(clean));
    const names = files.list(directory).filter((name) => matches(pathText(name)));
    if (names.length > entriesMax)
      throw new Fault(
        "invalid",
        `${path} holds more than the ${entriesMax} entries that can be read at once`,
      );
    return names.flatMap((name) => {
      const inner = directory === "" ? name : joinPath(directory, name);
      const stat = files.stat(inner);
      return stat === undefined ? [] : [{ ...entryOf(files, inner, stat, ""), path: pathText(name) }];
    });
  } catch (cause) {
    if (!(cause instanceof Errno)) throw cause;
    const kind = cause.code === "ENOTDIR" ? "invalid" : "not-found";
    throw new Fault(kind, `readdir ${path}: ${cause.message}`, { cause });
  }
}

async function opened<T>(
  builder: BuildkitBuilder,
  result: BuildResult,
  path: string,
  work: (descriptor: number) => T,
): Promise<T> {
  const [first] = result.perPlatform;
  if (first === undefined) throw new Fault("not-found", `${path}: no such file or directory`);
  await using tree = await builder.tree(first);
  using files = Beneath.open(tree.root);
  let descriptor: number;
  try {
    const clean = path.replace(/^\/+/, "");
    descriptor = files.open(
      (clean === "" ? "." : bytePath(clean)) as BytePath,
      openFlag.read | openFlag.nonBlocking,
    );
  } catch (cause) {
    if (!(cause instanceof Errno)) throw cause;
    throw new Fault("not-found", `open ${path}: ${cause.message}`, { cause });
  }
  try {
    return work(descriptor);
  } finally {
    closeDescriptor(descriptor);
  }
}
