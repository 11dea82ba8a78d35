/** Where a bind mount comes from. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { Fault } from "#spec/fault.ts";

/** Makes a directory where `create` says so. @throws Fault `invalid` in dockerd's words. */
export async function checkSource(path: string, create: boolean): Promise<void> {
  if (existsSync(path)) return;
  if (!create)
    throw new Fault(
      "invalid",
      `invalid mount config for type "bind": bind source path does not exist: ${path}`,
    );
  try {
    await mkdir(path, { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw new Fault(
      "invalid",
      `error while creating mount source path '${path}': ${Fault.from(cause).message}`,
      { cause },
    );
  }
}
