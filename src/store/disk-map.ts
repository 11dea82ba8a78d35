/** Where the bytes of a directory tree are, as du(1) counts them: blocks in use, directories too, each inode once. */
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, joinPath } from "#kernel/files/byte-path.ts";
import { fileKind } from "#kernel/files/files-at.ts";
import { Breath } from "./breath.ts";

export interface DiskPart {
  readonly bytes: number;
  /** Files of any kind, directories too. */
  readonly files: number;
}

const blockBytes = 512;

/**
 * Adds up by the names that `partOf` gives to what a path from the root leads to; undefined for a directory whose entries
 * have names of their own, which itself is part of `rest`. Other file systems mounted there are not looked at.
 */
export async function mapDisk(
  root: string,
  o: {
    readonly partOf: (path: readonly string[]) => string | undefined;
    readonly rest: string;
    readonly signal: AbortSignal;
  },
): Promise<ReadonlyMap<string, DiskPart>> {
  using tree = Beneath.open(root);
  const breath = new Breath(o.signal);
  const seen = new Set<string>();
  const parts = new Map<string, { bytes: number; files: number }>();
  const count = (part: string, blocks: number): void => {
    const sum = parts.get(part) ?? { bytes: 0, files: 0 };
    sum.bytes += blocks * blockBytes;
    sum.files++;
    parts.set(part, sum);
  };
  const top = tree.stat("" as BytePath);
  count(o.rest, top?.blocks ?? 0);
  const pending: { readonly path: BytePath; readonly part: string | undefined }[] = [
    { path: "" as BytePath, part: undefined },
  ];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const name of namesIn(tree, at.path)) {
      const path = joinPath(at.path, name);
      const stat = tree.stat(path);
      if (stat === undefined || stat.device !== top?.device) continue;
      const part = at.part ?? o.partOf(path.split("/"));
      const isDirectory = (stat.mode & fileKind.mask) === fileKind.directory;
      if (isDirectory) pending.push({ path, part });
      else if (stat.linkCount > 1) {
        if (seen.has(String(stat.inode))) continue;
        seen.add(String(stat.inode));
      }
      count(part ?? o.rest, stat.blocks);
    }
    if (breath.due) await breath.take();
  }
  return parts;
}

/** Nothing for a directory that went meanwhile. */
function namesIn(tree: Beneath, path: BytePath): BytePath[] {
  try {
    return tree.list(path);
  } catch {
    return [];
  }
}
