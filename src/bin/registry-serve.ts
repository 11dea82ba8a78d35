/** `wherry registry serve`: its flags, and its end by a signal. */
import { readFile } from "node:fs/promises";
import {
  decideDepot,
  decideServe,
  parseServeFile,
  parseServeFlags,
  serveUsage,
} from "#registry/server/serve-options.ts";
import { openRegistryService } from "./registry-service.ts";

/** Serves until a signal. @returns The exit code. */
export async function serveRegistry(args: readonly string[]): Promise<number> {
  const { flags, config, help } = parseServeFlags(args);
  if (help) {
    process.stdout.write(serveUsage);
    return 0;
  }
  const file = config === undefined ? {} : parseServeFile(await readFile(config, "utf8"), config);
  const options = decideServe(flags, file);
  const place = decideDepot(options.root, options.file, process.env);
  await using service = await openRegistryService({ ...options, place, say });
  say(`registry of ${options.root} listens on ${service.url}`);
  await new Promise<void>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve());
  });
  return 0;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
