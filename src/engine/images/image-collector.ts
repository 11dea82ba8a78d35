/**
 * Clearing away what nothing needs: blobs that no image has, layers that a broken pull or build left, downloads nobody came
 * back for.
 * Owns: when. Promises: what is leased stays; what came lately stays, since its record may be about to be written; why a blob
 * is kept can be told. A crash in the middle loses nothing: the next sweep goes on.
 */
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { familiarReference, parseReference } from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { ImageIndex } from "./image-index.ts";
import { chainOf } from "./image-removal.ts";
import type { Images } from "./images.ts";
import type { KeptLayers } from "./kept-layers.ts";
import type { Leases } from "./leases.ts";
import { blobsFor, type Provenance } from "./provenance.ts";

/** Between two sweeps. */
const everyMs = 3600 * 1000;
/** A blob younger than this stays. */
export const blobGraceMs = 3600 * 1000;

export interface CollectorParts {
  readonly index: ImageIndex;
  readonly provenance: Provenance;
  readonly leases: Leases;
  readonly kept: KeptLayers;
  readonly blobs: Pick<Blobs, "walk" | "delete">;
  readonly layers: Pick<Layers, "get" | "list">;
  readonly images: Pick<Images, "collectLayers">;
  readonly registry: { sweep(): Promise<void> };
  readonly report: (fault: Fault) => void;
}

export interface KeptBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Empty: the next sweep takes it. */
  readonly reasons: readonly string[];
}

export class ImageCollector implements Disposable {
  readonly #parts: CollectorParts;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Layers that nothing needed at the last sweep. */
  #idle: ReadonlySet<ChainId> = new Set();

  constructor(parts: CollectorParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.#sweepQuietly(), everyMs);
    this.#timer.unref();
  }

  async #sweepQuietly(): Promise<void> {
    try {
      await this.sweep(Date.now());
    } catch (thrown) {
      this.#parts.report(Fault.from(thrown));
    }
  }

  /** What is there twice in a row without anybody needing it goes; a blob, once it is old enough. */
  async sweep(nowMs: number): Promise<void> {
    const { blobs, registry } = this.#parts;
    const reasons = this.reasons({ leased: true });
    for await (const { digest, changedMs } of blobs.walk())
      if (!reasons.has(digest) && nowMs - changedMs >= blobGraceMs) await blobs.delete(digest);
    await this.#sweepLayers();
    await registry.sweep();
  }

  async #sweepLayers(): Promise<void> {
    const { images } = this.#parts;
    const idle = new Set(this.#idleLayers());
    for (const chainId of idle) if (this.#idle.has(chainId)) await images.collectLayers(chainId);
    this.#idle = idle;
  }

  /** Tops of stacks that no image has and nothing stands on. */
  #idleLayers(): ChainId[] {
    const { index, layers, leases, kept } = this.#parts;
    const needed = new Set<ChainId>();
    for (const chainId of [...index.list().map((image) => image.chainId), ...kept.list()])
      for (const each of chainOf(layers, chainId)) needed.add(each.chainId);
    const all = layers.list();
    const inner = new Set(all.map(({ parent }) => parent));
    return all
      .map(({ chainId }) => chainId)
      .filter((each) => !needed.has(each) && !inner.has(each) && !leases.has(each));
  }

  /** Every blob and why it is kept. */
  async explain(nowMs: number): Promise<KeptBlob[]> {
    const reasons = this.reasons({ leased: true });
    const kept: KeptBlob[] = [];
    for await (const { digest, sizeBytes, changedMs } of this.#parts.blobs.walk()) {
      const young = nowMs - changedMs < blobGraceMs;
      const because = reasons.get(digest) ?? (young ? ["it came less than an hour ago"] : []);
      kept.push({ digest, sizeBytes, reasons: because });
    }
    return kept.sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  /** Why layers are kept, by images, builds and transfers. */
  layerReasons(): ReadonlyMap<ChainId, readonly string[]> {
    const { index, kept, layers, leases } = this.#parts;
    const reasons = new Map<ChainId, string[]>();
    const add = (top: ChainId | undefined, reason: string): void => {
      for (const { chainId } of chainOf(layers, top))
        reasons.set(chainId, [...(reasons.get(chainId) ?? []), reason]);
    };
    const references = index.allReferences();
    for (const { id, chainId } of index.list()) add(chainId, `image ${references.get(id)?.join(", ") ?? id}`);
    for (const chainId of kept.list()) add(chainId, "the build cache");
    for (const { chainId } of layers.list())
      if (leases.has(chainId)) add(chainId, "a pull, push, load or build");
    return reasons;
  }

  /** Why blobs are kept; `leased`: also those that may be on their way. */
  reasons(o: { readonly leased: boolean }): ReadonlyMap<Digest, string[]> {
    const { index, leases, provenance } = this.#parts;
    const reasons = new Map<Digest, string[]>();
    const add = (digest: Digest, reason: string) =>
      reasons.set(digest, [...(reasons.get(digest) ?? []), reason]);
    const references = index.allReferences();
    const shown = (image: Digest) => references.get(image)?.join(", ") ?? image;
    for (const { id } of index.list()) add(id, `config of ${shown(id)}`);
    for (const [image, manifest] of provenance.allManifests())
      for (const digest of blobsFor(manifest))
        add(digest, `${digest === manifest.digest ? "manifest" : "attestation"} of ${shown(image)}`);
    for (const [name] of index.allNames()) {
      const digest = index.variants(name)?.index;
      if (digest !== undefined) add(digest, `index of ${familiarReference(parseReference(name))}`);
    }
    if (o.leased) for (const digest of leases.all()) add(digest, "a pull, push or load holds it");
    return reasons;
  }

  /** No more sweeps. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
