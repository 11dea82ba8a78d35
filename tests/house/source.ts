/** The code base as the house tests see it: files, their lines and what they import. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

export const root = join(import.meta.dir, "../..");

export interface SourceFile {
  /** From the checkout's root: `src/room/file.ts`. */
  readonly path: string;
  /** Of files in `src`. */
  readonly room: string;
  readonly text: string;
  readonly isTest: boolean;
  /** Files of this code base, from its root. */
  readonly imports: readonly string[];
  /** Everything else: packages and built-in modules. */
  readonly packages: readonly string[];
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s+"([^"]+)"/g;

export function sourceFiles(folder = "src"): SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.includes("node_modules/"))
    .sort()
    .map((name) => read(join(folder, name)));
}

function read(path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  const specifiers = [...text.matchAll(importPattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
  const local = specifiers.filter((each) => each.startsWith("#") || each.startsWith("."));
  return {
    path,
    room: path.split("/")[1] ?? "",
    text,
    isTest: /\.test\.ts$|-(?:fixture|double)\.ts$|\/test-[\w-]+\.ts$|\/chroot-engine\.ts$/.test(path),
    imports: local.map((each) =>
      each.startsWith("#") ? `src/${each.slice(1)}` : normalize(join(dirname(path), each)),
    ),
    packages: specifiers.filter((each) => !local.includes(each)),
  };
}
