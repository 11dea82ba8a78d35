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

const chunkBytes = 256 * 1024;

/** A tree and where the client shall have it. */
export interface SentTree {
  readonly files: Beneath;
  /** A directory of the client's, relative; empty for the place it named. */
  readonly below: string;
}

/** @throws Fault in the client's words when it cannot write. `told` gets the bytes sent so far. */
export async function sendFiles(
  call: ClientCall<Written<typeof Packet>, Read<typeof Packet>>,
  trees: readonly SentTree[],
  told: (bytes: number) => void,
): Promise<void> {
  const contents: { files: Beneath; path: BytePath }[] = [];
  const listing = (async () => {
    for (const tree of trees)
      for (const [path, stat] of entriesOf(tree)) {
        contents.push({ files: tree.files, path });
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
      for (const data of contentOf(wanted.files, wanted.path)) {
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
function* entriesOf({ files, below }: SentTree): Generator<[BytePath, FileStatWritten]> {
  if (below !== "") yield ["" as BytePath, { path: below, mode: goMode(0o040755), modTime: 0n }];
  const prefix = below === "" ? "" : `${below}/`;
  const pending: BytePath[] = files.list("" as BytePath).reverse();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = files.stat(path);
    if (stat === undefined) continue;
    const mode = goMode(stat.mode);
    const kind = kindOf(mode);
    if (kind === "socket") continue;
    yield [path, entryOf(files, path, stat, prefix)];
    if (kind !== "directory") continue;
    const parent = path;
    for (const name of files.list(parent).reverse()) pending.push(joinPath(parent, name));
  }
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
    ...(kind === "symlink" && { linkname: pathText(files.readLink(path)) }),
    ...(kind === "device" && { devmajor: stat.major, devminor: stat.minor }),
  };
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
