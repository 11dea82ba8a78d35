/** Blobs against the digests they are named by, and against who needs them. Reads all of them, one at a time. */
import { createHash } from "node:crypto";
import type { Finding } from "#spec/check.ts";
import { type Digest, digestAlgorithm } from "#spec/digest.ts";
import { isFault } from "#spec/fault.ts";
import type { Blobs } from "./blobs.ts";
import type { Pace } from "./pace.ts";

export interface BlobCheck {
  readonly blobs: Pick<Blobs, "walk" | "open" | "delete" | "stat">;
  /** Why each is kept, now; `leased`: also those that may be on their way. */
  readonly needed: (o: { readonly leased: boolean }) => ReadonlyMap<Digest, readonly string[]>;
  readonly pace: Pace;
  readonly looked: () => void;
}

export async function* checkBlobs(o: BlobCheck): AsyncGenerator<Finding> {
  for await (const { digest } of o.blobs.walk()) {
    o.looked();
    const found = await digestOf(digest, o);
    if (found === undefined || found === digest) continue;
    const reasons = o.needed({ leased: true }).get(digest);
    const problem = `blob ${digest} is damaged: its bytes have the digest ${found}`;
    yield reasons === undefined
      ? {
          ...{ area: "blobs", problem, remedy: "nothing needs it: remove it" },
          repair: async () => void (await o.blobs.delete(digest)),
        }
      : { area: "blobs", problem, remedy: again(reasons) };
  }
  const certain = { leased: false };
  for (const [digest, reasons] of o.needed(certain))
    if ((await o.blobs.stat(digest)) === undefined && o.needed(certain).has(digest))
      yield { area: "blobs", problem: `blob ${digest} is missing`, remedy: again(reasons) };
}

function again(reasons: readonly string[]): string {
  return `remove the image and pull, load or build it again (${reasons.join("; ")})`;
}

/** Undefined for one that went meanwhile. */
async function digestOf(digest: Digest, { blobs, pace }: BlobCheck): Promise<string | undefined> {
  const algorithm = digestAlgorithm(digest);
  const hash = createHash(algorithm);
  try {
    for await (const bytes of blobs.open(digest)) {
      hash.update(bytes);
      await pace.step(bytes.length);
    }
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (gone || isFault(error, "not-found")) return undefined;
    throw error;
  }
  return `${algorithm}:${hash.digest("hex")}`;
}
