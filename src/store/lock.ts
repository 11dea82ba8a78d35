/** One engine for one data root: two would sweep away each other's half-written files. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lockFile } from "#kernel/files/file-lock.ts";
import { Fault } from "#spec/fault.ts";

/**
 * Takes the data root for this process until disposed, or until the process ends in any way. `pid` is written beside
 * it for the message another one gets. @throws Fault `conflict` naming the process that has it.
 */
export function lockRoot(root: string, pid: number): Disposable {
  mkdirSync(root, { recursive: true, mode: 0o710 });
  const path = join(root, "lock");
  const lock = lockFile(path);
  if (lock === undefined) {
    const owner = readFileSync(path, "utf8").trim();
    throw new Fault(
      "conflict",
      `${root} is in use by another engine${owner === "" ? "" : ` (process ${owner})`}: stop it or choose another --data-root`,
    );
  }
  writeFileSync(path, `${pid}\n`);
  return lock;
}
