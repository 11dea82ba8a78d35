/**
 * A build's files to the client's disk: the listing, then the content it asks for.
 * Source of the protocol: tonistiigi/fsutil send.go. What is sent must not change meanwhile.
 */
import { readSync } from "node:fs";
import type { ClientCall } from "#grpc/grpc-channel.ts";
import type { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, joinPath, pathText } from "#kernel/files/byte-path.ts";
import { closeDescriptor, type FileStat, openFlag } from "#kernel/files/files-at.ts";
import { Fault } from "#spec/fault.ts";
import { type FileStatWritten, goMode, kindOf, type Packet, packetType } from "#spec/file-packets.ts";
import type { Read, Written } from "#spec/proto-message.ts";
import { isHousekeeping } from "#store/trees/overlay-marks.ts";

const chunkBytes = 256 * 1024;

/** A file that is in no tree. */
export interface SentDocument {
  /** Without a slash. */
  readonly name: BytePath;
  readonly content: Uint8Array;
  readonly mode: number;
  readonly mtimeNano: bigint;
}

/** A tree and where the client shall have it. */
export interface SentTree {
  readonly files: Beneath;
  /** A directory of the client's, relative; empty for the place it named. */
  readonly below: string;
  /** Beside what is in the tree, and in place of what is called the same there. */
  readonly documents?: readonly SentDocument[] | undefined;
  /** All files are of that time; absent: each of its own. */
  readonly mtimeNano?: bigint | undefined;
}

/** @throws Fault in the client's words when it cannot write. `told` gets the bytes sent so far. */
export async function sendFiles(
  call: ClientCall<Written<typeof Packet>, Read<typeof Packet>>,
  tree: SentTree,
  told: (bytes: number) => void,
): Promise<void> {
  const contents: (BytePath | SentDocument)[] = [];
  const listing = (async () => {
    for (const [content, stat] of entriesOf(tree)) {
      contents.push(content);
      await call.send({ type: packetType.stat, stat });
    }
    await call.send({ type: packetType.stat });
  })();
  listing.catch(() => undefined);
  let bytes = 0;
  for await (const packet of call.responses) {
    if (packet.type === packetType.request) {
      const wanted = contents[packet.ID];
      if (wanted === undefined) throw new Fault("invalid", "the client asked for a file that was not listed");
      for (const data of typeof wanted === "string" ? contentOf(tree.files, wanted) : [wanted.content]) {
        await call.send({ type: packetType.data, ID: packet.ID, data });
        bytes += data.length;
        told(bytes);
      }
      await call.send({ type: packetType.data, ID: packet.ID });
    } else if (packet.type === packetType.error)
      throw new Fault("invalid", Buffer.from(packet.data).toString() || "the client cannot write the files");
    else if (packet.type === packetType.end) {
      await listing;
      await call.send({ type: packetType.end });
      call.end();
    }
  }
  await listing;
}

/** Parents first, names in the order of their bytes. The path is the tree's own. */
function* entriesOf(tree: SentTree): Generator<[BytePath | SentDocument, FileStatWritten]> {
  const { files, below, documents = [], mtimeNano } = tree;
  if (below !== "") yield ["" as BytePath, { path: below, mode: goMode(0o040755), modTime: mtimeNano ?? 0n }];
  const prefix = below === "" ? "" : `${below}/`;
  const shadowed = new Set(documents.map(({ name }) => name));
  const names = files.list("" as BytePath).filter((name) => !shadowed.has(name));
  const pending: (BytePath | SentDocument)[] = [...names, ...documents].sort(byName).reverse();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (typeof path !== "string") {
      yield [path, { ...documentStat(path, prefix), ...(mtimeNano !== undefined && { modTime: mtimeNano }) }];
      continue;
    }
    const stat = files.stat(path);
    if (stat === undefined) continue;
    const mode = goMode(stat.mode);
    const kind = kindOf(mode);
    if (kind === "socket") continue;
    const entry = entryOf(files, path, stat, prefix);
    yield [path, mtimeNano === undefined ? entry : { ...entry, modTime: mtimeNano }];
    if (kind !== "directory") continue;
    const parent = path;
    for (const name of files.list(parent).reverse()) pending.push(joinPath(parent, name));
  }
}

function byName(left: BytePath | SentDocument, right: BytePath | SentDocument): number {
  const [a, b] = [left, right].map((each) => (typeof each === "string" ? each : each.name));
  return (a ?? "") < (b ?? "") ? -1 : 1;
}

function documentStat({ name, content, mode, mtimeNano }: SentDocument, prefix: string): FileStatWritten {
  return {
    ...{ path: prefix + pathText(name), mode: goMode(0o100000 | mode) },
    ...{ size: content.length, modTime: mtimeNano },
  };
}

/** One entry as a client is told of it; `prefix` before its path. */
export function entryOf(files: Beneath, path: BytePath, stat: FileStat, prefix: string): FileStatWritten {
  const mode = goMode(stat.mode);
  const kind = kindOf(mode);
  return {
    path: prefix + pathText(path),
    mode,
    uid: stat.uid,
    gid: stat.gid,
    size: kind === "file" ? stat.sizeBytes : 0,
    modTime: stat.mtimeNano,
    ...((kind === "file" || kind === "directory") && { xattrs: attributesOf(files, path) }),
    ...(kind === "symlink" && { linkname: pathText(files.readLink(path)) }),
    ...(kind === "device" && { devmajor: stat.major, devminor: stat.minor }),
  };
}

function attributesOf(files: Beneath, path: BytePath): Record<string, Uint8Array> {
  const names = files.listXattrs(path).filter((name) => !isHousekeeping(name));
  return Object.fromEntries(names.map((name) => [name, files.getXattr(path, name) ?? new Uint8Array(0)]));
}

function* contentOf(files: Beneath, path: BytePath): Generator<Uint8Array> {
  const descriptor = files.open(path, openFlag.read | openFlag.noFollow);
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const length = readSync(descriptor, chunk, 0, chunkBytes, null);
      if (length === 0) return;
      yield chunk.subarray(0, length);
    }
  } finally {
    closeDescriptor(descriptor);
  }
}
