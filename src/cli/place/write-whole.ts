/** A file of the user's configuration, written whole or not at all. */
import { randomBytes } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** What is being written is called so, behind the file's own name. */
export const partialEnding = ".partial";

/** Makes its directory, too: the user's alone where the file is. */
export async function writeWhole(path: string, content: string | Buffer, mode: 0o600 | 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: mode === 0o600 ? 0o700 : 0o755 });
  const fresh = `${path}.${randomBytes(6).toString("hex")}${partialEnding}`;
  await writeFile(fresh, content, { mode });
  await rename(fresh, path);
}
