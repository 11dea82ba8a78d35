/**
 * Paths inside a directory tree that stands for a root of its own, symbolic links followed as a chroot would.
 * Only for trees that nothing else changes meanwhile (a received context, a layer that no container runs on): there the
 * answer cannot be raced. Where something may run, `Beneath` is the tool.
 */
import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { Fault } from "#spec/fault.ts";
import { cleanPath } from "#spec/go-text.ts";

/** Linux's limit of links on one path. */
const linksMax = 40;

/** `lstat`, or undefined when there is nothing, a file in the middle of the path included. */
export function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return undefined;
    throw error;
  }
}

/**
 * The host path of `path` in the tree at `root` with every link resolved, the last one too; what does not exist is
 * appended as it stands. Never leaves `root`: absolute links start at it, `..` stops at it.
 * @throws Fault `invalid` for a circle of links.
 */
export function resolveInRoot(root: string, path: string): string {
  const pending = cleanPath(`/${path}`).split("/").reverse();
  const resolved: string[] = [];
  let links = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      resolved.pop();
      continue;
    }
    const here = `${root}/${[...resolved, part].join("/")}`;
    if (lookAt(here)?.isSymbolicLink() !== true) {
      resolved.push(part);
      continue;
    }
    if (++links > linksMax) throw new Fault("invalid", `too many symbolic links in ${path}`);
    const target = readlinkSync(here);
    if (target.startsWith("/")) resolved.length = 0;
    pending.push(...target.split("/").reverse());
  }
  return resolved.length === 0 ? root : `${root}/${resolved.join("/")}`;
}

/** True when a path as written in COPY climbs out of the context by its text alone. */
export function climbsOut(path: string): boolean {
  const cleaned = cleanPath(path.replace(/^\/+/, ""));
  return cleaned === ".." || cleaned.startsWith("../");
}
