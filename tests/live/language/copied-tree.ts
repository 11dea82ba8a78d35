/** What COPY's rows copy. */
import type { ContextFiles } from "./row.ts";

export const tree: ContextFiles = {
  "a.txt": "a",
  "b.txt": { bytes: "b", mode: 0o755 },
  ".hidden": "h",
  "dir/c.txt": "c",
  "dir/.dot": ".",
  "dir/deep/d.md": "d",
};
export const scratch = (...lines: string[]) => `FROM scratch\n${lines.join("\n")}\n`;
export const dirFiles = (at: string) => ({
  [`${at}.dot`]: "-644 .",
  [`${at}c.txt`]: "-644 c",
  [`${at}deep/`]: "d755",
  [`${at}deep/d.md`]: "-644 d",
});
