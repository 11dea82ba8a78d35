/**
 * A step's changes, touched up before they become a layer. The directory is overlayfs's upper one; no mount of it is left and
 * nothing runs in it any more, but what ran there may have left links that lead anywhere.
 */
import { lstatSync, lutimesSync, readdirSync, rmdirSync, type Stats, unlinkSync } from "node:fs";

const entriesPerBreath = 512;

/** A mount point made for a command, and what was there before it was. */
export interface Stub {
  /** From the root, resolved in it, no slash in front. */
  readonly path: string;
  /** How many of its first parts were there before. */
  readonly existing: number;
  /** Times of the deepest directory that was there before. */
  readonly parentTimes: Pick<Stats, "atimeMs" | "mtimeMs"> | undefined;
}

/**
 * Removes mount points that were made and are still empty, and the directories made for them. Never goes through a link: a
 * command may have put one where a directory was (CVE-2024-23652).
 */
export function removeStubs(changes: string, stubs: readonly Stub[]): void {
  for (const { path, existing, parentTimes } of stubs.toReversed()) {
    const parts = path.split("/");
    for (let length = parts.length; length > existing; length--) {
      const host = realPath(changes, parts.slice(0, length));
      if (host === undefined || !removeEmpty(host)) break;
    }
    if (parentTimes === undefined) continue;
    const parent = realPath(changes, parts.slice(0, existing));
    if (parent === undefined) continue;
    lutimesSync(parent, parentTimes.atimeMs / 1000, parentTimes.mtimeMs / 1000);
  }
}

/** The path when every part above the last is a directory and no link. */
function realPath(top: string, parts: readonly string[]): string | undefined {
  let host = top;
  for (const [index, part] of parts.entries()) {
    host = `${host}/${part}`;
    const stat = lstatSync(host, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (index < parts.length - 1 && !stat.isDirectory()) return undefined;
  }
  return host;
}

function removeEmpty(host: string): boolean {
  const stat = lstatSync(host, { throwIfNoEntry: false });
  if (stat === undefined) return true;
  if (stat.isDirectory()) {
    if (readdirSync(host).length > 0) return false;
    rmdirSync(host);
    return true;
  }
  if (!stat.isFile() || stat.size > 0) return false;
  unlinkSync(host);
  return true;
}

/** Nothing in it is younger than `epochMs` afterwards: the same steps make the same layer (SOURCE_DATE_EPOCH). */
export async function clampTimes(changes: string, epochMs: number): Promise<void> {
  let count = 0;
  const clamp = (host: string) => {
    const stat = lstatSync(host);
    if (stat.mtimeMs > epochMs) lutimesSync(host, epochMs / 1000, epochMs / 1000);
  };
  const visit = async (host: string): Promise<void> => {
    for (const entry of readdirSync(host, { withFileTypes: true })) {
      if (++count % entriesPerBreath === 0) await new Promise(setImmediate);
      const path = `${host}/${entry.name}`;
      if (entry.isDirectory()) await visit(path);
      clamp(path);
    }
  };
  await visit(changes);
  clamp(changes);
}
