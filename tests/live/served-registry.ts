/** `wherry registry serve` as a process of its own on loopback; ended with the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";

const program = join(import.meta.dir, "../../src/bin/wherry.ts");

export const digestOf = (bytes: Uint8Array | string) =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export class ServedRegistry implements AsyncDisposable {
  readonly url: string;
  readonly process: ChildProcess;

  private constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.process = process;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return new URL(this.url).host;
  }

  /** Listens when it resolves; on a free port unless a flag says otherwise. `netns`: a path; there instead of here. */
  static async start(
    flags: readonly string[],
    o: { readonly environment?: Readonly<Record<string, string>>; readonly netns?: string } = {},
  ): Promise<ServedRegistry> {
    const command = [process.execPath, program, "registry", "serve", "--addr", "127.0.0.1:0", ...flags];
    const [first = "", ...rest] =
      o.netns === undefined ? command : ["nsenter", `--net=${o.netns}`, ...command];
    const env = { ...process.env, ...o.environment };
    const child = spawn(first, rest, { stdio: ["ignore", "ignore", "pipe"], env });
    let said = "";
    for await (const part of child.stderr) {
      said += part;
      const [, url] = /listens on (\S+)/.exec(said) ?? [];
      if (url !== undefined) return new ServedRegistry(url, child);
    }
    throw new Error(`the registry ended: ${said}`);
  }

  /** One blob in one request. */
  async putBlob(repository: string, bytes: Uint8Array | string): Promise<string> {
    const digest = digestOf(bytes);
    const url = `${this.url}/v2/${repository}/blobs/uploads/?digest=${digest}`;
    const answer = await fetch(url, { method: "POST", body: bytes as string });
    if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
    return digest;
  }

  /** An image of these layers, which need not be archives. @returns Its digest. */
  async putImage(repository: string, tag: string, layers: readonly (Uint8Array | string)[]): Promise<string> {
    const type = "application/vnd.oci.image.manifest.v1+json";
    const about = async (bytes: Uint8Array | string, mediaType: string) => ({
      mediaType,
      digest: await this.putBlob(repository, bytes),
      size: Buffer.byteLength(bytes),
    });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: await about("{}", "application/vnd.oci.image.config.v1+json"),
      layers: await Promise.all(
        layers.map(async (each) => await about(each, "application/vnd.oci.image.layer.v1.tar")),
      ),
    });
    const url = `${this.url}/v2/${repository}/manifests/${tag}`;
    const answer = await fetch(url, { method: "PUT", body: manifest, headers: { "Content-Type": type } });
    if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
    return digestOf(manifest);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const ended = once(this.process, "exit");
    if (this.process.exitCode === null && this.process.signalCode === null && this.process.kill(signal))
      await ended;
    return this.process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}
