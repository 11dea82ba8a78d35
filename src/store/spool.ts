/** Files that are needed for as long as one piece of work lasts. */
import { randomBytes } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { Breath } from "./breath.ts";
import { explainFull } from "./disk-full.ts";

/** Bytes read from disk at a time. */
const readBytes = 512 << 10;

/** Gone with all it holds when disposed; what a crash leaves goes with `clearSpools`. */
export class Spool implements AsyncDisposable {
  readonly #directory: string;
  #count = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(root: string): Promise<Spool> {
    const directory = join(root, randomBytes(8).toString("hex"));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new Spool(directory);
  }

  /** Keeps all of `source`. @returns Its path. @throws Fault `unavailable` on a full disk. */
  async keep(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<string> {
    const path = join(this.#directory, String(this.#count++));
    const breath = new Breath(signal);
    await using file = await open(path, "wx", 0o600);
    try {
      for await (const bytes of source) {
        for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
        if (breath.due) await breath.take();
      }
    } catch (error) {
      throw explainFull(error, this.#directory);
    }
    return path;
  }

  /** In parts that are lent until the next one. */
  async *read(path: string): AsyncGenerator<Uint8Array> {
    await using file = await open(path, "r");
    const buffer = Buffer.allocUnsafeSlow(readBytes);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Makes `root`, without what a crash left there. */
export async function clearSpools(root: string): Promise<void> {
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true, mode: 0o700 });
}
