/**
 * Pure. What `cp` means by its paths: the docker CLI's rules for a slash or `/.` at the end, for what exists and what does
 * not, and for the names that archive entries get (docker cp, "Description").
 */
import { posix } from "node:path";
import { Fault } from "#spec/fault.ts";

/** One side of a copy. */
export interface CopyEnd {
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
  /** What the entries are to be called instead of the path's last part: that of the path as it was asked for. */
  readonly rename?: string;
}

/** Where an archive goes, and which first part of its names becomes which. */
export interface CopyPlan {
  readonly directory: string;
  readonly rename?: { readonly from: string; readonly to: string };
}

/** `CONTAINER:PATH` or a local path, which may be made explicit by a slash or a dot in front. */
export function splitCopyArgument(text: string): { readonly container: string; readonly path: string } {
  const colon = text.indexOf(":");
  if (text.startsWith("/") || text.startsWith(".") || colon < 0) return { container: "", path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

export function endsInSlash(path: string): boolean {
  return path.endsWith("/");
}

/** `x/.`: what is in it, not itself. Nothing at all means so too. */
export function endsInDot(path: string): boolean {
  return path === "" || posix.basename(path) === ".";
}

/** A path that was cleaned, with the slash or dot at its end that said what it is. */
export function keepEnd(cleaned: string, original: string): string {
  const dotted = endsInDot(original) && !endsInDot(cleaned);
  const here = dotted ? `${cleaned}${endsInSlash(cleaned) ? "" : "/"}.` : cleaned;
  return endsInSlash(original) && !endsInSlash(here) ? `${here}/` : here;
}

export function splitEntry(path: string): { readonly directory: string; readonly name: string } {
  const cleaned = posix.normalize(path).replace(/(.)\/+$/, "$1");
  if (endsInDot(path)) return { directory: cleaned, name: "." };
  return { directory: posix.dirname(cleaned), name: posix.basename(cleaned) || "/" };
}

/** What a link's target is to be asked for as, and called, when `asked` was followed to it. */
export function followedName(
  asked: string,
  target: string,
): { readonly path: string; readonly rename?: string } {
  const path = keepEnd(target, asked);
  const [wanted, real] = [posix.basename(asked), posix.basename(path)];
  return wanted === real ? { path } : { path, rename: wanted };
}

/** @throws Fault `invalid` in the docker CLI's words. */
export function planCopy(source: CopyEnd, destination: CopyEnd): CopyPlan {
  if (destination.exists && destination.isDirectory) return { directory: destination.path };
  if (destination.exists && source.isDirectory) throw new Fault("invalid", "cannot copy directory");
  const wantsDirectory = endsInSlash(destination.path) || endsInDot(destination.path);
  if (!destination.exists && !source.isDirectory && wantsDirectory)
    throw new Fault("invalid", "no such directory");
  const { directory, name: to } = splitEntry(destination.path);
  return { directory, rename: { from: source.rename ?? splitEntry(source.path).name, to } };
}

/** The name of an entry, its first part replaced. The root's own name is a slash, in front of all others. */
export function renamed(name: string, rename: CopyPlan["rename"]): string {
  if (rename === undefined) return name;
  const { from, to } = rename;
  if (from === "/") return `${to}${name.startsWith("/") ? "" : "/"}${name}`;
  if (name === from) return to;
  return name.startsWith(`${from}/`) ? to + name.slice(from.length) : name;
}
