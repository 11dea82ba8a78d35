/**
 * Extended attributes of a file in an open directory, or of an open file.
 * Promises: never follows a link; values are bytes. Needs /proc: the calls that take a directory are newer than the
 * kernels in use.
 */
import { FFIType, type Pointer, ptr } from "bun:ffi";
import { check, Errno, errno, libc, pinnedBuffer } from "#kernel/libc.ts";
import { type BytePath, pathText } from "./byte-path.ts";
import { descriptorPath } from "./files-at.ts";

const { i32, u64 } = FFIType;
const length = FFIType.i64_fast;
const pointer = FFIType.ptr;

const c = libc({
  lsetxattr: { args: [pointer, pointer, pointer, u64, i32], returns: i32 },
  lgetxattr: { args: [pointer, pointer, pointer, u64], returns: length },
  llistxattr: { args: [pointer, pointer, u64], returns: length },
  lremovexattr: { args: [pointer, pointer], returns: i32 },
  flistxattr: { args: [i32, pointer, u64], returns: length },
  fgetxattr: { args: [i32, pointer, pointer, u64], returns: length },
  fsetxattr: { args: [i32, pointer, pointer, u64, i32], returns: i32 },
});

/** Linux's limit for one value, XATTR_SIZE_MAX, and for a file's list of names, XATTR_LIST_MAX. */
export const xattrValueBytesMax = 65536;
/** Linux's XATTR_NAME_MAX. */
export const xattrNameBytesMax = 255;

const pathBuffer = pinnedBuffer(4096 + 32);
const nameBuffer = pinnedBuffer(xattrNameBytesMax + 1);
const valueBuffer = pinnedBuffer(xattrValueBytesMax);
const [path, name, value] = [ptr(pathBuffer), ptr(nameBuffer), ptr(valueBuffer)];

/** Without a directory the file's path begins at the root. */
export type AttributeDirectory = number | undefined;

function fillPath(directory: AttributeDirectory, file: BytePath): Pointer {
  const text = directory === undefined ? file : `${descriptorPath(directory)}/${file === "" ? "." : file}`;
  if (text.length >= pathBuffer.length) throw new Errno(36, pathText(file.slice(0, 64) as BytePath));
  pathBuffer[pathBuffer.write(text, 0, "latin1")] = 0;
  return path;
}

function fillName(attribute: string): Pointer {
  if (attribute.length > xattrNameBytesMax) throw new Errno(34, `attribute ${attribute.slice(0, 64)}`);
  nameBuffer[nameBuffer.write(attribute, 0, "latin1")] = 0;
  return name;
}

/** The value, or undefined when the file has none or its file system keeps none. */
export function getXattr(
  directory: AttributeDirectory,
  file: BytePath,
  attribute: string,
): Buffer | undefined {
  const length = c.lgetxattr(fillPath(directory, file), fillName(attribute), value, valueBuffer.length);
  return readValue(length, attribute, () => pathText(file));
}

/** The same of an open file. */
export function getXattrDescriptor(fd: number, attribute: string): Buffer | undefined {
  return readValue(
    c.fgetxattr(fd, fillName(attribute), value, valueBuffer.length),
    attribute,
    () => "a file",
  );
}

function readValue(length: number | bigint, attribute: string, file: () => string): Buffer | undefined {
  if (Number(length) >= 0) return Buffer.from(valueBuffer.subarray(0, Number(length)));
  const failure = new Errno(errno(), `read attribute ${attribute} of ${file()}`);
  if (failure.code === "ENODATA" || failure.code === "EOPNOTSUPP") return undefined;
  throw failure;
}

/** Names, one character a byte; empty where the file system keeps none. */
export function listXattrs(directory: AttributeDirectory, file: BytePath): string[] {
  return namesOf(c.llistxattr(fillPath(directory, file), value, valueBuffer.length), () => pathText(file));
}

/** The same of an open file. */
export function listXattrsDescriptor(fd: number): string[] {
  return namesOf(c.flistxattr(fd, value, valueBuffer.length), () => "a file");
}

function namesOf(length: number | bigint, file: () => string): string[] {
  if (Number(length) < 0) {
    const failure = new Errno(errno(), `list attributes of ${file()}`);
    if (failure.code === "EOPNOTSUPP") return [];
    throw failure;
  }
  if (Number(length) === 0) return [];
  return valueBuffer.toString("latin1", 0, Number(length) - 1).split("\0");
}

/** Makes or replaces one. */
export function setXattr(
  directory: AttributeDirectory,
  file: BytePath,
  attribute: string,
  bytes: Uint8Array,
): void {
  const target = fillPath(directory, file);
  const source = bytes.length === 0 ? value : ptr(bytes);
  check(
    c.lsetxattr(target, fillName(attribute), source, bytes.length, 0),
    () => `set attribute ${attribute} of ${pathText(file)}`,
  );
}

/** Makes or replaces one of a file that is open. */
export function setXattrDescriptor(fd: number, attribute: string, bytes: Uint8Array): void {
  const source = bytes.length === 0 ? value : ptr(bytes);
  check(c.fsetxattr(fd, fillName(attribute), source, bytes.length, 0), () => `set attribute ${attribute}`);
}

/** False when there was none. */
export function removeXattr(directory: AttributeDirectory, file: BytePath, attribute: string): boolean {
  const target = fillPath(directory, file);
  if (c.lremovexattr(target, fillName(attribute)) === 0) return true;
  const failure = new Errno(errno(), `remove attribute ${attribute} of ${pathText(file)}`);
  if (failure.code === "ENODATA") return false;
  throw failure;
}
