/** Where a builder keeps what must not reach a disk: secrets, for as long as a step has them. */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { discardTree } from "#store/discard.ts";

/** A directory in memory for this root alone; those of an engine that died go. */
export async function memoryDirectory(root: string): Promise<string> {
  const memory = "/dev/shm";
  const prefix = `wherry-${createHash("sha256").update(root).digest("hex").slice(0, 16)}-`;
  for (const name of readdirSync(memory)) if (name.startsWith(prefix)) await discardTree(join(memory, name));
  return await mkdtemp(join(memory, prefix));
}
