/**
 * Pure. One 512-byte header of a tar archive, both ways: POSIX ustar, GNU's and the old format, base-256 numbers.
 * Owns: where fields are. Never: extended headers; the reader and the writer join them.
 */
import { type BytePath, bytePathOf } from "#kernel/files/byte-path.ts";
import { Fault } from "#spec/fault.ts";
import { blockBytes } from "./tar-entry.ts";

export interface TarHeader {
  /** One character; `0` also for NUL. */
  readonly type: string;
  readonly name: BytePath;
  readonly linkName: BytePath;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly major: number;
  readonly minor: number;
  readonly format: "old" | "ustar" | "gnu";
}

const field = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  linkName: [157, 100],
  magic: [257, 8],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
} as const;
type Field = readonly [offset: number, length: number];
const typeOffset = 156;

const ustarMagic = "ustar\u000000";
const gnuMagic = "ustar  \u0000";

/** Undefined for a block of zeros, which ends an archive. @throws Fault `invalid` when it is no header. */
export function decodeHeader(block: Buffer): TarHeader | undefined {
  if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined;
  if (!hasChecksum(block))
    throw new Fault("invalid", "the archive is damaged or no tar: a header's checksum is wrong");
  const magic = block.toString("latin1", 257, 265);
  const format = magic === gnuMagic ? "gnu" : magic.startsWith("ustar\0") ? "ustar" : "old";
  const prefix = format === "ustar" ? text(block, field.prefix) : "";
  const name = text(block, field.name);
  return {
    type: block[typeOffset] === 0 ? "0" : String.fromCharCode(block[typeOffset] ?? 0),
    name: (prefix === "" ? name : `${prefix}/${name}`) as BytePath,
    linkName: text(block, field.linkName),
    mode: number(block, field.mode) & 0o7777,
    uid: number(block, field.uid),
    gid: number(block, field.gid),
    sizeBytes: number(block, field.size),
    mtimeSeconds: number(block, field.mtime),
    major: format === "old" ? 0 : number(block, field.major),
    minor: format === "old" ? 0 : number(block, field.minor),
    format,
  };
}

/** The sum of all bytes, with blanks in its own place; some old programs summed them as signed. */
function hasChecksum(block: Buffer): boolean {
  const [offset, length] = field.checksum;
  let sum = 0x20 * length;
  for (let index = 0; index < blockBytes; index++) sum += block[index] ?? 0;
  for (let index = offset; index < offset + length; index++) sum -= block[index] ?? 0;
  const written = number(block, field.checksum);
  return written === sum || written === sum - 256 * negativeBytes(block);
}

/** Bytes that are less than zero where bytes have a sign; the checksum itself, which is digits, has none. */
function negativeBytes(block: Buffer): number {
  return block.reduce((count, byte) => count + (byte > 127 ? 1 : 0), 0);
}

function text(block: Buffer, [offset, length]: Field): BytePath {
  const end = block.indexOf(0, offset);
  const last = end < 0 || end > offset + length ? offset + length : end;
  return bytePathOf(block.subarray(offset, last));
}

/** Octal digits between blanks and NULs, or base-256 when the first bit is set. @throws Fault `invalid`. */
export function number(block: Buffer, [offset, length]: Field): number {
  const lead = block[offset] ?? 0;
  if ((lead & 0x80) !== 0) return wideNumber(block, offset, length);
  let [value, index] = [0, offset];
  const end = offset + length;
  while (index < end && (block[index] === 0x20 || block[index] === 0)) index++;
  for (; index < end; index++) {
    const digit = (block[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  const after = index < end ? block[index] : 0;
  if (after !== 0 && after !== 0x20)
    throw new Fault("invalid", "the archive is damaged: a number in a header is none");
  return value;
}

/** Two's complement, the first bit left out. */
function wideNumber(block: Buffer, offset: number, length: number): number {
  const negative = block[offset] === 0xff;
  let value = negative ? -1 : (block[offset] ?? 0) & 0x7f;
  for (let index = offset + 1; index < offset + length; index++) value = value * 256 + (block[index] ?? 0);
  if (Number.isSafeInteger(value)) return value;
  throw new Fault("invalid", "the archive is damaged: a number in a header is too large");
}

/** What a header can hold as it is: names of plain length in plain characters and numbers of few digits. */
export interface PlainHeader {
  readonly type: string;
  /** At most 100 bytes, or to be split at a slash into 155 and 100. */
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly major: number;
  readonly minor: number;
}

/** The largest number that fits `digits` octal digits. */
export const octalMax = { seven: 0o7777777, eleven: 0o77777777777 } as const;

/** A ustar header, in a block of zeros. Names and numbers must fit: see `splitName`, `octalMax`. */
export function encodeHeader(header: PlainHeader, block: Buffer = Buffer.alloc(blockBytes)): Buffer {
  const [prefix, name] = splitName(header.name) ?? ["", header.name.slice(0, 100)];
  // Everything else is zeros; the sum counts its own place as blanks.
  const sum =
    0x20 * field.checksum[1] +
    putText(block, field.name[0], name) +
    putNumber(block, field.mode, header.mode) +
    putNumber(block, field.uid, header.uid) +
    putNumber(block, field.gid, header.gid) +
    putNumber(block, field.size, header.sizeBytes) +
    putNumber(block, field.mtime, header.mtimeSeconds) +
    putText(block, typeOffset, header.type) +
    putText(block, field.linkName[0], header.linkName.slice(0, 100)) +
    putText(block, field.magic[0], ustarMagic) +
    putNumber(block, field.major, header.major) +
    putNumber(block, field.minor, header.minor) +
    putText(block, field.prefix[0], prefix);
  const [offset, length] = field.checksum;
  putNumber(block, [offset, length - 1], sum);
  block[offset + length - 1] = 0x20;
  return block;
}

/** Characters are bytes. @returns Their sum. */
function putText(block: Buffer, offset: number, text: string): number {
  let sum = 0;
  for (let index = 0; index < text.length; index++) {
    const byte = text.charCodeAt(index);
    block[offset + index] = byte;
    sum += byte & 0xff;
  }
  return sum;
}

/** Octal digits that fill the field but for a NUL. @returns The sum of its bytes. */
function putNumber(block: Buffer, [offset, length]: Field, value: number): number {
  let [sum, left] = [0, value];
  for (let index = offset + length - 2; index >= offset; index--) {
    const higher = Math.floor(left / 8);
    const digit = 0x30 + left - higher * 8;
    block[index] = digit;
    sum += digit;
    left = higher;
  }
  return sum;
}

/** A name as ustar's prefix and name; undefined when it is too long or cannot be split. */
export function splitName(name: string): [prefix: string, name: string] | undefined {
  if (name.length <= 100) return ["", name];
  if (name.length > 256) return undefined;
  const slash = name.indexOf("/", name.length - 101);
  if (slash < 1 || slash > 155 || slash === name.length - 1) return undefined;
  return [name.slice(0, slash), name.slice(slash + 1)];
}
