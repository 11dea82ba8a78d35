/**
 * Pure. Writes tar archives: POSIX ustar, with extended headers only where a field does not fit. Equal entries give equal
 * bytes, on every machine and at any time: what is written becomes a digest.
 */
import type { BytePath } from "#kernel/files/byte-path.ts";
import { blockBytes, type TarEntry, type TarKind } from "./tar-entry.ts";
import { encodeHeader, octalMax, splitName } from "./tar-header.ts";
import { encodePax, formatPaxTime, xattrRecord } from "./tar-pax.ts";

const types: Readonly<Record<TarKind, string>> = {
  file: "0",
  link: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** What ends every archive. */
export const endOfArchive: Buffer = Buffer.alloc(2 * blockBytes);

const zeros = Buffer.alloc(blockBytes);

/** The zeros between a file's content and the next header. */
export function paddingAfter(sizeBytes: number): Buffer {
  return zeros.subarray(0, (blockBytes - (sizeBytes % blockBytes)) % blockBytes);
}

/**
 * The headers before the content, which has exactly `sizeBytes`; a directory's name gets its slash. Ignores `extents`.
 * Written into `block`, of `blockBytes`, where that is enough: fresh memory costs more than writing a header.
 */
export function encodeEntry(entry: TarEntry, block?: Buffer): Buffer {
  const name = entry.kind === "directory" && !entry.name.endsWith("/") ? `${entry.name}/` : entry.name;
  const records: [string, Buffer][] = [];
  const add = (key: string, value: string) => records.push([key, Buffer.from(value, "latin1")]);
  const plainName = isAscii(name) && splitName(name) !== undefined;
  if (!plainName) add("path", name);
  const plainLink = isAscii(entry.linkName) && entry.linkName.length <= 100;
  if (!plainLink) add("linkpath", entry.linkName);
  const fit = (key: string, value: number, max: number) => {
    if (value >= 0 && value <= max) return value;
    add(key, String(value));
    return 0;
  };
  const sizeBytes = fit("size", entry.sizeBytes, octalMax.eleven);
  const uid = fit("uid", entry.uid, octalMax.seven);
  const gid = fit("gid", entry.gid, octalMax.seven);
  const seconds = entry.mtimeNano / 1_000_000_000n;
  const plainTime =
    entry.mtimeNano >= 0n && seconds * 1_000_000_000n === entry.mtimeNano && seconds <= octalMax.eleven;
  if (!plainTime) add("mtime", formatPaxTime(entry.mtimeNano));
  const mtimeSeconds = entry.mtimeNano >= 0n && seconds <= octalMax.eleven ? Number(seconds) : 0;
  for (const key of [...entry.xattrs.keys()].sort())
    records.push([...xattrRecord(key, entry.xattrs.get(key) ?? new Uint8Array())]);
  const plain = records.length === 0;
  const header = encodeHeader(
    {
      type: types[entry.kind],
      name: plainName ? name : name.slice(0, 100),
      linkName: entry.linkName,
      mode: entry.mode,
      uid,
      gid,
      sizeBytes,
      mtimeSeconds,
      major: entry.major,
      minor: entry.minor,
    },
    plain ? block?.fill(0) : undefined,
  );
  return plain ? header : Buffer.concat([extendedHeader(entry.name, encodePax(records)), header]);
}

/** Its own name is for programs that do not know such headers, and unpack them as files. */
function extendedHeader(name: BytePath, body: Buffer): Buffer {
  const readable = name
    .replace(/\/+$/, "")
    .replace(/^.*\//s, "")
    .replace(/[^\x20-\x7e]/g, "_");
  const header = encodeHeader({
    type: "x",
    name: `PaxHeaders/${readable.slice(0, 80)}`,
    linkName: "",
    mode: 0o644,
    uid: 0,
    gid: 0,
    sizeBytes: body.length,
    mtimeSeconds: 0,
    major: 0,
    minor: 0,
  });
  return Buffer.concat([header, body, paddingAfter(body.length)]);
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7e) return false;
  return true;
}
