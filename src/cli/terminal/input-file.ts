/** Archives that commands send. */
import { read } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import type { CliIo } from "#cli/flags/command.ts";
import { giveBack } from "#spec/give-back.ts";
import { redirectedFile } from "./redirected.ts";

/** Of one read, and of one chunk. */
const partBytes = 1 << 20;
const readSome = promisify(read);

/** A file's bytes, or stdin's when none is named. Parts are lent until the next one is asked for. */
export async function* readInput(io: CliIo, path: string | undefined): AsyncGenerator<Uint8Array> {
  const redirected = redirectedFile(io.stdin);
  if (path !== undefined) yield* readParts(path);
  else if (redirected !== undefined) yield* parts(redirected);
  else
    for await (const part of io.stdin as AsyncIterable<Buffer>) {
      yield part;
      giveBack(part);
    }
}

/** A file's bytes, lent like those. */
export async function* readParts(path: string): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  yield* parts(file.fd);
}

/** From where the file stands, into the same memory each time: fresh memory for every part costs more than reading it. */
async function* parts(fd: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(partBytes);
  for (;;) {
    const { bytesRead } = await readSome(fd, buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
