/** How much a directory tree takes up. */
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, joinPath } from "#kernel/files/byte-path.ts";
import { fileKind } from "#kernel/files/files-at.ts";
import { Breath } from "./breath.ts";

/** Bytes of all files beneath, each hard-linked file once; directories count for nothing, as in Docker's sizes. */
export async function diskUsage(
  root: string,
  o: { readonly signal?: AbortSignal | undefined } = {},
): Promise<number> {
  using tree = Beneath.open(root);
  const breath = new Breath(o.signal);
  const seen = new Set<string>();
  const pending: BytePath[] = ["" as BytePath];
  let sizeBytes = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const name of tree.list(directory)) {
      const path = joinPath(directory, name);
      const stat = tree.stat(path);
      if (stat === undefined) continue;
      if ((stat.mode & fileKind.mask) === fileKind.directory) pending.push(path);
      else if (stat.linkCount < 2 || !seen.has(`${stat.device} ${stat.inode}`)) {
        if (stat.linkCount > 1) seen.add(`${stat.device} ${stat.inode}`);
        sizeBytes += stat.sizeBytes;
      }
    }
    if (breath.due) await breath.take();
  }
  return sizeBytes;
}
