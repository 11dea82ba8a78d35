/** A source that is not there, with the nearest name that is. */
import { readdirSync } from "node:fs";
import { Fault } from "#spec/fault.ts";
import { cleanPath } from "./go-text.ts";
import { lookAt, resolveInRoot } from "./rooted-path.ts";
import { suggestion } from "./suggest.ts";

/** In BuildKit's words. `path` was looked for below `root`. */
export function missingSource(path: string, root: string): Fault {
  const shown = cleanPath(`/${path}`);
  const near = nearName(shown, root);
  return new Fault(
    "not-found",
    `failed to compute cache key: failed to calculate checksum: ${JSON.stringify(shown)}: not found${near}`,
  );
}

/** ` (did you mean x?)` of what lies beside. */
export function nearName(path: string, root: string): string {
  const slash = path.lastIndexOf("/");
  const parent = resolveInRoot(root, path.slice(0, Math.max(slash, 0)));
  const siblings = lookAt(parent)?.isDirectory() === true ? readdirSync(parent) : [];
  return suggestion(path.slice(slash + 1), siblings);
}
