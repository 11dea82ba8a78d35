/** Directories of things that have nothing to do with one another. */
import { mkdir } from "node:fs/promises";
import { spreadChildren } from "#kernel/files/spread.ts";

/** Makes what is missing of `directory`; what is made in it lies apart on the disk. */
export async function makeApart(directory: string, mode: number): Promise<void> {
  await mkdir(directory, { recursive: true, mode });
  spreadChildren(directory);
}
