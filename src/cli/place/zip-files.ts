/** Pure. The files of a zip archive in memory (PKWARE APPNOTE 6.3, 4.3): stored or deflated, without zip64 and secrets. */
import { inflateRawSync } from "node:zlib";
import { Fault } from "#spec/fault.ts";

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
const endBytes = 22;
const commentMax = 0xffff;

/** In the archive's order; directories are left out. @throws Fault `invalid`, also when all of it is more than `bytesMax`. */
export function zipFiles(zip: Buffer, bytesMax: number): [name: string, content: Buffer][] {
  try {
    const end = endOf(zip);
    const count = zip.readUInt16LE(end + 10);
    const files: [string, Buffer][] = [];
    let room = bytesMax;
    for (let at = zip.readUInt32LE(end + 16), index = 0; index < count; index++) {
      if (zip.readUInt32LE(at) !== entrySignature) throw new RangeError("an entry is not where it should be");
      const nameBytes = zip.readUInt16LE(at + 28);
      const name = zip.toString("utf8", at + 46, at + 46 + nameBytes);
      const content = contentOf(zip, at, room);
      room -= content.length;
      if (!name.endsWith("/")) files.push([name, content]);
      at += 46 + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
    }
    return files;
  } catch (cause) {
    throw new Fault("invalid", `the archive is no zip that can be read: ${Fault.from(cause).message}`, {
      cause,
    });
  }
}

/** Where the record stands that says where all others do: last, but for a comment. */
function endOf(zip: Buffer): number {
  for (let at = zip.length - endBytes; at >= Math.max(0, zip.length - endBytes - commentMax); at--)
    if (zip.readUInt32LE(at) === endSignature) return at;
  throw new RangeError("it is cut off");
}

/** `entry` is where the directory speaks of it. */
function contentOf(zip: Buffer, entry: number, room: number): Buffer {
  const flags = zip.readUInt16LE(entry + 8);
  const method = zip.readUInt16LE(entry + 10);
  const [packed, size] = [zip.readUInt32LE(entry + 20), zip.readUInt32LE(entry + 24)];
  const local = zip.readUInt32LE(entry + 42);
  if ((flags & 1) !== 0) throw new RangeError("it is encrypted");
  if (size > room) throw new RangeError("it is too large");
  if (zip.readUInt32LE(local) !== localSignature) throw new RangeError("a file is not where it should be");
  const from = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const bytes = zip.subarray(from, from + packed);
  if (bytes.length !== packed) throw new RangeError("it is cut off");
  const content =
    method === 0
      ? Buffer.from(bytes)
      : method === 8
        ? inflateRawSync(bytes, { maxOutputLength: size + 1 })
        : undefined;
  if (content === undefined) throw new RangeError(`method ${method} is not known`);
  if (content.length !== size) throw new RangeError("a file has another size than it says");
  return content;
}
