/** A blob to a registry, in one stream; what breaks off goes on at the byte the registry has. */
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { Repository, UploadPlace } from "./repository.ts";
import { retrying } from "./retry.ts";

export interface Sent {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export async function upload(
  repository: Repository,
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  { maxAttempts, retryDelayMs: delayMs }: RegistryOptions,
  o: { readonly signal: AbortSignal; readonly tell?: (sentBytes: number) => void },
): Promise<Sent> {
  const { signal } = o;
  let place: UploadPlace | undefined;
  return await retrying(
    async () => {
      if (place !== undefined) place = await progress(repository, place, signal);
      place ??= await begin(repository, signal);
      const bytes = new Hashed(open(signal), place.offset, o.tell);
      place = await repository.sendPart(place, bytes.rest(), signal);
      const sent = bytes.result();
      await repository.finishUpload(place, sent.digest, signal);
      return sent;
    },
    {
      maxAttempts,
      delayMs,
      signal,
      reached: () => place?.offset ?? 0,
    },
  );
}

async function begin(repository: Repository, signal: AbortSignal): Promise<UploadPlace> {
  const place = await repository.beginUpload(signal);
  if (place === undefined)
    throw new Fault("invalid", `${repository.session.endpoint.host} has a blob before it was sent`);
  return place;
}

/** Where the registry is; undefined to begin anew: it has forgotten the upload, or has nothing ("0-0" may mean that). */
async function progress(
  repository: Repository,
  place: UploadPlace,
  signal: AbortSignal,
): Promise<UploadPlace | undefined> {
  try {
    const found = await repository.uploadStatus(place, signal);
    return found.offset > 1 ? found : undefined;
  } catch (thrown) {
    if (isFault(thrown, "not-found") || isFault(thrown, "invalid")) return undefined;
    throw thrown;
  }
}

/** The whole is hashed, the part from `offset` on is sent. */
class Hashed {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #offset: number;
  readonly #tell: ((sentBytes: number) => void) | undefined;
  readonly #hash = createHash("sha256");
  #sizeBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>, offset: number, tell?: (sentBytes: number) => void) {
    this.#source = source;
    this.#offset = offset;
    this.#tell = tell;
  }

  async *rest(): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#source) {
      const skip = Math.max(0, Math.min(bytes.length, this.#offset - this.#sizeBytes));
      this.#hash.update(bytes);
      this.#sizeBytes += bytes.length;
      if (skip < bytes.length) yield bytes.subarray(skip);
      this.#tell?.(this.#sizeBytes);
    }
  }

  result(): Sent {
    return { digest: parseDigest(`sha256:${this.#hash.digest("hex")}`), sizeBytes: this.#sizeBytes };
  }
}
