/**
 * A layer on its way to a registry.
 * Promises: what the registry has, in this repository or another of its own, is not sent.
 */

import { counted } from "#engine/images/counted.ts";
import type { LayerBlob, Provenance } from "#engine/images/provenance.ts";
import type { RegistryTarget } from "#engine/parts.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { type Reference, repositoryName } from "#spec/reference.ts";
import { formOfType, type LayerForm, layerType, packLayer, plainGzip } from "#store/layers/layer-form.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { LayerProgress } from "./transfer-progress.ts";

/** A layer and where it is going. */
export interface GoingLayer {
  readonly chainId: ChainId;
  readonly diffId: Digest;
  readonly tarSizeBytes: number;
  readonly progress: LayerProgress;
}

/** Of a layer that the registry has in a form it knows. */
export type Placed = Omit<LayerBlob, "repositories">;

/** Sees to it that the repository has a layer: in the `form` that is wanted, or else in one or another. */
export async function placeLayer(
  { layers, provenance }: { readonly layers: Pick<Layers, "tar">; readonly provenance: Provenance },
  layer: GoingLayer,
  o: {
    readonly reference: Reference;
    readonly target: RegistryTarget;
    /** Blobs that make a known manifest whole. */
    readonly preferred: ReadonlySet<Digest>;
    readonly form?: LayerForm | undefined;
    readonly signal: AbortSignal;
  },
): Promise<Placed> {
  const { reference, target, preferred, signal } = o;
  const { progress, tarSizeBytes } = layer;
  const known = provenance
    .blobs(layer.diffId)
    .filter((blob) => o.form === undefined || isForm(blob, o.form))
    .sort((a, b) => Number(preferred.has(b.digest)) - Number(preferred.has(a.digest)));
  for (const blob of known)
    if ((await target.hasBlob(blob.digest, signal)) !== undefined) {
      progress.say("Layer already exists");
      return blob;
    }
  const prefix = `${reference.domain}/`;
  for (const blob of known)
    for (const repository of blob.repositories) {
      if (!repository.startsWith(prefix) || repository === repositoryName(reference)) continue;
      const from = repository.slice(prefix.length);
      if (!(await target.mount(blob.digest, from, signal))) continue;
      progress.say(`Mounted from ${from}`);
      return blob;
    }
  progress.say("Waiting");
  const [wanted] = known.filter(({ digest }) => preferred.has(digest));
  const form = o.form ?? formOf(wanted);
  const open = (each: AbortSignal) =>
    packLayer(
      counted(layers.tar(layer.chainId, { signal: each }), (bytes) =>
        progress.count("Pushing", bytes, tarSizeBytes),
      ),
      form,
    );
  const sent = await target.upload(open, { signal });
  progress.say("Pushed");
  if (sent.digest === wanted?.digest) return wanted;
  const mediaType = layerType(form, form.compression === "gzip" ? "docker" : "oci");
  const { level } = form;
  return { digest: sent.digest, sizeBytes: sent.sizeBytes, mediaType, ...(level !== undefined && { level }) };
}

function isForm(blob: LayerBlob, { compression, level }: LayerForm): boolean {
  return (
    formOfType(blob.mediaType)?.compression === compression && (level === undefined || blob.level === level)
  );
}

/** In which an image's manifest has it; an image without one goes as gzip. */
function formOf(blob: LayerBlob | undefined): LayerForm {
  const form = blob === undefined ? undefined : formOfType(blob.mediaType);
  return form === undefined ? plainGzip : { ...form, level: blob?.level };
}
