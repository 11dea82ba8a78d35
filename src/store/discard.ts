/** Taking away a whole tree of files. */
import { Beneath } from "#kernel/files/beneath.ts";
import { bytePath } from "#kernel/files/byte-path.ts";
import {
  type FlatDirectory,
  removeFlatAside,
  removingFlat,
  removingTree,
} from "#kernel/files/remove-tree.ts";
import { Breath } from "./breath.ts";

/** Whether a thread of the pool is at it: it has few, and all else that waits for files needs them, too. */
let isAside = false;

/** Removes what is at `path`, in small steps, so that others get their turn. Idempotent. */
export async function discardTree(path: string): Promise<void> {
  const slash = path.lastIndexOf("/");
  using parent = Beneath.open(path.slice(0, slash));
  const breath = new Breath();
  const [directory, name] = parent.parent(bytePath(path.slice(slash + 1)));
  for (const flat of removingTree(directory, name)) {
    if (isAside) {
      for (const _ of removingFlat(flat)) if (breath.due) await breath.take();
    } else await removeAside(flat);
    if (breath.due) await breath.take();
  }
}

async function removeAside(flat: FlatDirectory): Promise<void> {
  isAside = true;
  try {
    await removeFlatAside(flat);
  } finally {
    isAside = false;
  }
}
