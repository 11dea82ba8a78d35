/**
 * What is known of the files in a kept copy, beside it on disk.
 * Promises: nothing of it is waited for: after a power cut the copy is looked at once more, and is used only when all of it
 * is as it was written down. Equal sizes are enough: file systems write a file's size after what it holds.
 */
import { createHash } from "node:crypto";
import { lstatSync, readFileSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A path, what it was like when it was written, and SHA-256 of what it holds. */
export type IndexEntry = readonly [path: string, like: string, hash?: string | null];

/** What a copy is, in a file of its own that is there only while the copy is whole. */
export interface MirrorAbout {
  readonly key: string;
  /** Of the context, for people. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly usedMs: number;
  readonly uses: number;
  /** SHA-256 of the index it belongs to. */
  readonly index?: string | undefined;
  /** Of the machine's run in which it was written. */
  readonly bootId?: string | undefined;
}

const [indexName, aboutName] = ["index.json", "about.json"];

let thisBoot: string | undefined;
function bootId(): string {
  thisBoot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return thisBoot;
}

/** Empty for a copy that is new. */
export async function readIndex(root: string): Promise<readonly IndexEntry[]> {
  const text = await readFile(join(root, indexName), "utf8").catch(() => "[]");
  return JSON.parse(text) as IndexEntry[];
}

/** The copy is whole from here on. */
export async function writeIndex(
  root: string,
  entries: readonly IndexEntry[],
  about: Omit<MirrorAbout, "index" | "bootId">,
): Promise<MirrorAbout> {
  const text = JSON.stringify(entries);
  const whole = { ...about, index: digest(text), bootId: bootId() };
  await writeFile(join(root, indexName), text);
  await writeFile(join(root, "about.new"), JSON.stringify(whole));
  await rename(join(root, "about.new"), join(root, aboutName));
  return whole;
}

/** Undefined for one that is not whole. Blocks: at the engine's start, and for long only behind the machine's own. */
export function readAbout(root: string): MirrorAbout | undefined {
  try {
    const about = JSON.parse(readFileSync(join(root, aboutName), "utf8")) as MirrorAbout;
    return about.bootId === bootId() || isAsWritten(root, about) ? about : undefined;
  } catch {
    return undefined;
  }
}

function isAsWritten(root: string, { index }: MirrorAbout): boolean {
  const text = readFileSync(join(root, indexName), "utf8");
  if (index !== digest(text)) return false;
  return (JSON.parse(text) as IndexEntry[]).every(([path, like]) => {
    const [kind, , size] = like.split(" ");
    const stat = lstatSync(join(root, "files", path));
    if (kind === "directory") return stat.isDirectory();
    return kind === "symlink" ? stat.isSymbolicLink() : stat.isFile() && String(stat.size) === size;
  });
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
