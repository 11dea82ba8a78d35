/** A script that a command gets as a file: one with an interpreter of its own, or one too long for an argument. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunWork } from "#build/language/step.ts";
import type { HostConfig } from "#spec/container.ts";

export interface ScriptMount extends AsyncDisposable {
  readonly mount: NonNullable<HostConfig["Mounts"]>[number];
}

/** `above`: a directory of the build's own. */
export function scriptMount(above: string, { name, content }: NonNullable<RunWork["script"]>): ScriptMount {
  const directory = mkdtempSync(join(above, "pipes-"));
  const files = join(directory, "files");
  mkdirSync(files, { mode: 0o755 });
  const path = join(files, name.replaceAll("/", "_"));
  writeFileSync(path, content, { mode: 0o755, flag: "wx" });
  chmodSync(path, 0o755);
  return {
    mount: { Type: "bind", Source: files, Target: "/dev/pipes", ReadOnly: true },
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }),
  };
}
