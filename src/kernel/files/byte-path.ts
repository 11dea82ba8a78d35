/**
 * Pure. File names as Linux has them: bytes, not text.
 * A `BytePath` is a string with one character for each byte (latin-1), so that names which are not UTF-8 survive, compare
 * in byte order, and still can be split and joined. For ASCII it is the text itself.
 */
import { Fault } from "#spec/fault.ts";

/** A path or a name, one character a byte. Absolute and relative mean the same where a root is at hand. */
export type BytePath = string & { readonly __brand: "BytePath" };

/** Linux's PATH_MAX without its NUL. */
export const pathBytesMax = 4095;

/** The bytes of a text as UTF-8. @throws Fault `invalid` when it holds a NUL. */
export function bytePath(text: string): BytePath {
  if (text.includes("\0")) throw new Fault("invalid", `a NUL byte in the path ${JSON.stringify(text)}`);
  return (isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1")) as BytePath;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

/** Bytes as they are. */
export function bytePathOf(bytes: Uint8Array): BytePath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as BytePath;
}

/** For people: what is not UTF-8 becomes U+FFFD. */
export function pathText(path: BytePath): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

/** Everything after the last slash. */
export function lastName(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf("/") + 1) as BytePath;
}

/** Everything before the last slash; empty for a name alone. */
export function parentPath(path: BytePath): BytePath {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0)) as BytePath;
}

export function joinPath(parent: BytePath, name: BytePath): BytePath {
  return (parent === "" ? name : `${parent}/${name}`) as BytePath;
}

/**
 * A path without leading, trailing or double slashes, `.` and `..`; empty for the root itself. `..` is taken from the
 * text, as Go's `filepath.Clean` does. Undefined when it climbs above the root.
 */
export function cleanBytePath(path: string): BytePath | undefined {
  if (path !== "" && !/(?:^|\/)(?:\.{0,2})(?:\/|$)/.test(path)) return path as BytePath;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/") as BytePath;
}
