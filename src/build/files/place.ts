/**
 * Files into a root file system, by COPY's and ADD's rules.
 * Owns: where a source ends up, what is replaced, owners and modes of what is made.
 * Promises: writes only beneath the root it is given, links in the image resolved as in a chroot; a file replaces
 * whatever has its name, directories merge. Never: follows or opens what it replaces.
 */
import { chmodSync, lchownSync, lstatSync, mkdirSync, utimesSync } from "node:fs";
import { dirname } from "node:path";
import { Fault } from "#spec/fault.ts";
import { cleanPath } from "#spec/go-text.ts";
import type { Additions } from "./additions.ts";
import { Copier, type CopyOptions } from "./copier.ts";
import type { Owner } from "./ownership.ts";
import { lookAt, resolveInRoot } from "./rooted-path.ts";
import type { Source } from "./source-tree.ts";

export interface PlaceOptions extends CopyOptions {
  /** Takes what has no counterpart in the image yet, when that can wait until nothing is mounted any more. */
  readonly additions?: Additions | undefined;
}

const root: Owner = { uid: 0, gid: 0 };
const directoryMode = 0o755;

/** Where COPY or ADD writes to. */
export interface Destination {
  /** The image's root on the host. */
  readonly root: string;
  /** Absolute in the image; a trailing slash says it is a directory. */
  readonly path: string;
}

/** The destination as the Dockerfile has it, made absolute by WORKDIR. What can only be a directory ends in a slash. */
export function destinationPath(workingDirectory: string, written: string): string {
  const path = cleanPath(written.startsWith("/") ? written : `/${workingDirectory}/${written}`);
  return /(?:^|\/)\.{0,2}$/.test(written) && path !== "/" ? `${path}/` : path;
}

/** Copies one source. @throws Fault `invalid` when a file stands where a directory must be. */
export async function place(source: Source, destination: Destination, o: PlaceOptions): Promise<void> {
  const target = resolveInRoot(destination.root, destination.path);
  const copier = new Copier(o, o.additions);
  if (source.directory) {
    if (lookAt(target)?.isDirectory() === false)
      throw new Fault("invalid", `cannot copy to non-directory: ${target.slice(destination.root.length)}`);
    makeDirectories(destination.root, target, o.owner ?? root);
    await copier.directory(source.path, target, source.filter);
    if (o.additions?.isEmpty === false) raise(target);
    return;
  }
  const inside = destination.path.endsWith("/") || lookAt(target)?.isDirectory() === true;
  const file = inside ? `${target}/${source.name}` : target;
  makeDirectories(destination.root, dirname(file), o.owner ?? root);
  await copier.entry(source.path, file);
  if (o.additions?.isEmpty === false) raise(dirname(file));
}

/** A directory of the image is copied up into its topmost layer by any change, also by one that changes nothing. */
function raise(directory: string): void {
  const { atimeMs, mtimeMs } = lstatSync(directory);
  utimesSync(directory, atimeMs / 1000, mtimeMs / 1000);
}

/**
 * Makes `host` and what is missing above it, down from `top`; only new ones get `owner` and mode 0755. Idempotent.
 * @returns whether anything was made. @throws Fault `invalid` when something else stands in the way.
 */
export function makeDirectories(top: string, host: string, owner: Owner): boolean {
  const missing: string[] = [];
  for (let path = host; path !== top && path.length > top.length; path = dirname(path)) {
    const stat = lookAt(path);
    if (stat?.isDirectory()) break;
    if (stat !== undefined) throw new Fault("invalid", `mkdir ${path.slice(top.length)}: not a directory`);
    missing.push(path);
  }
  for (const path of missing.reverse()) {
    mkdirSync(path, directoryMode);
    lchownSync(path, owner.uid, owner.gid);
    chmodSync(path, directoryMode);
  }
  return missing.length > 0;
}
