import { join } from "node:path";
import type { CliIo } from "#cli/flags/command.ts";

/** `DOCKER_CONFIG`, or `.docker` at home. */
export function configDirectory({ env }: Pick<CliIo, "env">): string {
  return env["DOCKER_CONFIG"] || join(env["HOME"] || "/", ".docker");
}
