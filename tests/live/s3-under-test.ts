/** An S3 service on loopback with an empty bucket, for tests; gone with what it stored. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Place } from "#registry/depot/s3-bucket.ts";

const program = join(import.meta.dir, "../s3/serve.mjs");
/** `scripts/setup --tests` brings it. */
export const hasS3 = existsSync(join(import.meta.dir, "../s3/node_modules/fauxqs"));

export class S3UnderTest implements AsyncDisposable {
  readonly place: S3Place;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(place: S3Place, directory: string, process: ChildProcess) {
    this.place = place;
    this.#directory = directory;
    this.#process = process;
  }

  static async start(): Promise<S3UnderTest> {
    const directory = mkdtempSync(join(tmpdir(), "wherry-s3-"));
    const child = spawn(process.execPath, [program, directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    for await (const part of child.stdout) {
      said += part;
      const [, port] = /port (\d+)/.exec(said) ?? [];
      if (port === undefined) continue;
      const place = {
        bucket: "depot",
        prefix: "some/registry",
        endpoint: `http://127.0.0.1:${port}`,
        region: "us-east-1",
        accessKeyId: "somebody",
        secretAccessKey: "secret",
      };
      return new S3UnderTest(place, directory, child);
    }
    throw new Error(`the S3 service does not start: ${said}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, "exit");
    if (this.#process.exitCode === null && this.#process.kill("SIGKILL")) await ended;
    rmSync(this.#directory, { recursive: true });
  }
}
