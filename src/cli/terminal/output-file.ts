/** Local paths that commands write to. */
import { closeSync, openSync, writeSync } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { dirname, normalize } from "node:path";
import { type CliIo, write } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";
import { giveBack } from "#spec/give-back.ts";
import { redirectedFile } from "./redirected.ts";

/** @throws Fault `invalid` in the docker CLI's words when a file at `path` could not be. */
export async function checkOutputPath(path: string): Promise<void> {
  const directory = dirname(normalize(path));
  if (directory !== "." && (await stat(directory).catch(() => undefined)) === undefined)
    throw new Fault("invalid", `invalid output path: directory ${JSON.stringify(directory)} does not exist`);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.isDirectory() || found.isFile()) return;
  const what = found.isBlockDevice() || found.isCharacterDevice() ? "a device" : "an irregular file";
  throw new Fault(
    "invalid",
    `invalid output path: ${JSON.stringify(path)} must be a directory or a regular file: got ${what}`,
  );
}

/** @throws Fault `invalid` for an archive that would go to a terminal. */
export function refuseTerminal(io: CliIo, output: string | undefined): void {
  if (output === undefined && io.stdout.isTTY)
    throw new Fault("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect");
}

/** To a file as `writeOutputFile` does; to stdout when none is named. */
export async function writeOutput(
  io: CliIo,
  output: string | undefined,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const redirected = redirectedFile(io.stdout);
  if (output !== undefined) await writeOutputFile(output, bytes);
  else if (redirected !== undefined) await writeAll(redirected, bytes);
  else for await (const part of bytes) await write(io.stdout, part);
}

/** Writes a file whole or not at all; what was there before stays until the last byte is written. */
export async function writeOutputFile(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const partial = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  try {
    const file = openSync(partial, "wx", 0o600);
    try {
      await writeAll(file, bytes);
    } finally {
      closeSync(file);
    }
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}

/** @throws Fault `conflict` when something is there already; then and when writing fails, nothing changes. */
export async function writeNewFile(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  let file: number;
  try {
    file = openSync(path, "wx", 0o600);
  } catch (cause) {
    const taken = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    throw taken ? new Fault("conflict", `open ${path}: file exists`, { cause }) : cause;
  }
  try {
    await writeAll(file, bytes);
  } catch (thrown) {
    await rm(path, { force: true });
    throw thrown;
  } finally {
    closeSync(file);
  }
}

/** Takes the parts over: nobody else may have them. */
async function writeAll(file: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const part of bytes) {
    for (let done = 0; done < part.length; ) done += writeSync(file, part, done);
    giveBack(part);
  }
}
