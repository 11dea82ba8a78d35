/** Blobs being fetched: how many at once, and one transfer for everybody who wants the same. */
import type { Digest } from "#spec/digest.ts";
import type { Descriptor } from "#spec/image.ts";
import type { Arrival, Arrivals } from "#store/arrivals.ts";
import { Gate } from "#store/gate.ts";
import { SharedWork } from "#store/shared-work.ts";
import { download, type Received } from "./download.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { Repository } from "./repository.ts";

interface Entry {
  holders: number;
  spent: boolean;
  arrival: Arrival | undefined;
}

/** A blob that is here and verified. Disposed unspent it stays for the next who wants it, for a day. */
export interface FetchedBlob extends AsyncDisposable {
  read(): AsyncIterable<Uint8Array>;
  /** Something was made of it: it goes with its last holder. */
  spend(): void;
}

export class Downloads {
  readonly #arrivals: Arrivals;
  readonly #options: RegistryOptions;
  readonly #gate: Gate;
  readonly #sharing = new SharedWork<Digest, void, Received>();
  readonly #entries = new Map<Digest, Entry>();

  constructor(arrivals: Arrivals, options: RegistryOptions) {
    this.#arrivals = arrivals;
    this.#options = options;
    this.#gate = new Gate(options.maxDownloads);
  }

  async fetch(
    blob: Descriptor,
    repositories: readonly Repository[],
    o: { readonly signal: AbortSignal; readonly tell: (news: Received) => void },
  ): Promise<FetchedBlob> {
    const entry = this.#entries.get(blob.digest) ?? { holders: 0, spent: false, arrival: undefined };
    this.#entries.set(blob.digest, entry);
    entry.holders++;
    try {
      await this.#sharing.join(
        blob.digest,
        async (signal, tell) => {
          using _ = await this.#gate.enter(signal);
          entry.arrival ??= await this.#arrivals.resume({ digest: blob.digest, sizeBytes: blob.size });
          await download(entry.arrival, repositories, this.#options, { signal, tell });
          tell({ kind: "complete" });
        },
        o,
      );
    } catch (thrown) {
      await this.#release(blob.digest, entry);
      throw thrown;
    }
    return {
      read: () => entry.arrival?.read() ?? nothing(),
      spend: () => {
        entry.spent = true;
      },
      [Symbol.asyncDispose]: async () => await this.#release(blob.digest, entry),
    };
  }

  async #release(digest: Digest, entry: Entry): Promise<void> {
    if (--entry.holders > 0) return;
    if (this.#entries.get(digest) === entry) this.#entries.delete(digest);
    const { arrival } = entry;
    entry.arrival = undefined;
    if (entry.spent) await arrival?.discard();
    else arrival?.[Symbol.dispose]();
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
