/**
 * What builds leave for whoever asks about them later: what they told, how they failed, where their results come from.
 * Owns: one directory of files named for what is in them. Promises: a file is there whole or not at all.
 * Never: knows whose they are; who keeps records says what may go.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, encodedDigest } from "#spec/digest.ts";
import type { Descriptor } from "#spec/image.ts";
import { explainFull } from "#store/disk-full.ts";

const hexDigest = /^sha256:[0-9a-f]{64}$/;

export class HistoryDocuments {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /** Makes the directory when it is not there; takes away what `isKept` does not know. */
  static open(root: string, isKept: (digest: string) => boolean): HistoryDocuments {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(root))
      if (!isKept(`sha256:${name}`)) rmSync(join(root, name), { recursive: true, force: true });
    return new HistoryDocuments(root);
  }

  /** @throws Fault `unavailable` on a full disk. */
  async put(mediaType: string, parts: Iterable<Uint8Array>): Promise<Descriptor> {
    const hash = createHash("sha256");
    const path = join(this.#root, `new-${randomBytes(8).toString("hex")}`);
    let size = 0;
    try {
      await using file = await open(path, "wx", 0o600);
      for (const part of parts) {
        hash.update(part);
        size += part.length;
        for (let done = 0; done < part.length; ) done += (await file.write(part, done)).bytesWritten;
      }
      const digest = `sha256:${hash.digest("hex")}` as Digest;
      await rename(path, this.#path(digest));
      return { mediaType, digest, size };
    } catch (thrown) {
      await rm(path, { force: true });
      throw explainFull(thrown, this.#root);
    }
  }

  /** Undefined when there is none. */
  async sizeOf(digest: string): Promise<number | undefined> {
    if (!hexDigest.test(digest)) return undefined;
    return await stat(this.#path(digest as Digest)).then(
      ({ size }) => size,
      () => undefined,
    );
  }

  /** Parts of at most `partBytes`, each of which is the caller's. `bytes`: 0 for all there are. @throws when there is none. */
  async *read(
    digest: string,
    o: { readonly offset: number; readonly bytes: number; readonly partBytes: number },
  ): AsyncGenerator<Uint8Array> {
    await using file = await open(this.#path(digest as Digest), "r");
    let left = o.bytes > 0 ? o.bytes : Number.POSITIVE_INFINITY;
    for (let at = o.offset; left > 0; ) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(o.partBytes, left));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
      left -= bytesRead;
    }
  }

  /** Idempotent. */
  async remove(digest: Digest): Promise<void> {
    await rm(this.#path(digest), { force: true });
  }

  #path(digest: Digest): string {
    return join(this.#root, encodedDigest(digest));
  }
}
