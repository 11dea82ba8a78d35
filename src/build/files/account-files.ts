/** The files of an image that say which number a name has. */
import { readFileSync } from "node:fs";
import type { AccountFiles } from "./ownership.ts";
import { lookAt, resolveInRoot } from "./rooted-path.ts";

/** Of the image whose root is there; links in it lead no further than the image. */
export function accountFiles(root: string): AccountFiles {
  return { passwd: textOf(root, "/etc/passwd"), group: textOf(root, "/etc/group") };
}

function textOf(root: string, path: string): string {
  const host = resolveInRoot(root, path);
  return lookAt(host)?.isFile() === true ? readFileSync(host, "utf8") : "";
}
