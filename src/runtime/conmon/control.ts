/** conmon's control pipe: lines `TYPE HEIGHT WIDTH`, where type 1 is a new window size and type 2 asks for a new log file. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { conmonFiles } from "./conmon.ts";

/** In characters. */
export interface ConsoleSize {
  readonly height: number;
  readonly width: number;
}

/** @throws Fault `conflict` when nobody reads the pipe any more. */
export async function resizeConsole(directory: string, { height, width }: ConsoleSize): Promise<void> {
  await control(directory, `1 ${height} ${width}\n`, "its window cannot be resized");
}

/** conmon goes on in a new log file. @throws Fault `conflict` when nobody reads the pipe any more. */
export async function reopenLog(directory: string): Promise<void> {
  await control(directory, "2 0 0\n", "its log has no more files");
}

async function control(directory: string, line: string, otherwise: string): Promise<void> {
  const path = join(directory, conmonFiles.control);
  try {
    await using pipe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
    await pipe.write(line);
  } catch (cause) {
    throw new Fault("conflict", `the process has ended: ${otherwise}`, { cause });
  }
}
