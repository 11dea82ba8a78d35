/** What rows about settings share. */
import type { Row } from "./row.ts";

export const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
export const scratch = (...lines: string[]) => `FROM scratch\n${lines.join("\n")}\n`;
export const bad = (name: string, line: string, message: string | RegExp, more: Partial<Row> = {}): Row => ({
  name,
  dockerfile: scratch(line),
  builder: "both",
  fails: typeof message === "string" ? `dockerfile parse error on line 2: ${message}` : message,
  ...more,
});
