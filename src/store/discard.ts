/** Directory trees that nobody wants any more. */
import { dirname } from "node:path";
import { Beneath } from "#kernel/beneath.ts";
import { bytePath } from "#kernel/byte-path.ts";
import { removeEmpty, removingTree } from "#kernel/remove-tree.ts";
import { Breath } from "./breath.ts";

/** Removes whatever is at `path`, never through a link, pausing for others now and then. Idempotent. */
export async function discardTree(path: string): Promise<void> {
  using above = Beneath.open(dirname(path));
  const breath = new Breath();
  const [directory, name] = above.parent(bytePath(path.slice(path.lastIndexOf("/") + 1)));
  for (const empty of removingTree(directory, name)) {
    if (empty !== undefined) await removeEmpty(empty);
    if (breath.due) await breath.take();
  }
}
