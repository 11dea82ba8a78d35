/**
 * Lists of manifests that somebody put together of what a registry has: `docker manifest push`.
 * Promises: what a list speaks of is in its repository before the list is; blobs move within the registry where it lets them,
 * and through this engine where not; each is checked against its digest.
 */
import type { RegistryAccess, RegistryPart, RegistrySource, RegistryTarget } from "#engine/parts.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { type Descriptor, mediaType } from "#spec/image.ts";
import { manifestBytesMax, parseManifest } from "#spec/manifest.ts";
import { familiarName, parseReference, type Reference, withDefaultTag } from "#spec/reference.ts";

export interface ManifestList {
  /** As it is to be there. */
  readonly text: string;
  /** Where its manifests are: a name for each, in any repository of the same registry. */
  readonly manifests: readonly { readonly name: string; readonly digest: Digest }[];
}

export class ManifestLists {
  readonly #registry: Pick<RegistryPart, "source" | "target">;

  constructor(registry: Pick<RegistryPart, "source" | "target">) {
    this.#registry = registry;
  }

  /**
   * Idempotent.
   * @throws Fault `invalid` for what is no list, speaks of what is not given, or is in another registry; as a pull and a push do.
   */
  async push(name: string, list: ManifestList, o: RegistryAccess): Promise<void> {
    const reference = withDefaultTag(parseReference(name));
    if (reference.digest !== undefined) throw new Fault("invalid", "cannot push a digest reference");
    const bytes = new TextEncoder().encode(list.text);
    if (bytes.length > manifestBytesMax)
      throw new Fault("invalid", `the manifest list is larger than ${manifestBytesMax} bytes`);
    const document = parseManifest(bytes);
    if (document.kind !== "index") throw new Fault("invalid", `${name} is given as one manifest, not a list`);
    const target = this.#registry.target(reference, o);
    for (const { digest } of document.manifests) {
      const given = list.manifests.find((each) => each.digest === digest);
      if (given === undefined) throw new Fault("invalid", `nobody says where ${digest} of ${name} is`);
      const source = parseReference(given.name);
      if (source.domain !== reference.domain)
        throw new Fault(
          "invalid",
          `cannot use source images from a different registry than the target image: ${source.domain} != ${reference.domain}`,
        );
      await this.#bring({ source, digest }, { reference, target }, o);
    }
    await target.putManifest(
      reference.tag ?? "latest",
      { bytes, mediaType: document.mediaType || mediaType.dockerList },
      o.signal,
    );
  }

  /** One manifest and its blobs, into the list's repository. */
  async #bring(
    from: { readonly source: Reference; readonly digest: Digest },
    to: { readonly reference: Reference; readonly target: RegistryTarget },
    o: RegistryAccess,
  ): Promise<void> {
    const source = this.#registry.source(from.source, o);
    const found = await source.manifest(from.digest, o.signal);
    const document = parseManifest(found.bytes, found.contentType);
    if (document.kind !== "manifest")
      throw new Fault("invalid", `${familiarName(from.source)}@${from.digest} is a manifest list`);
    if (from.source.path !== to.reference.path)
      for (const blob of [document.config, ...document.layers])
        await bringBlob(blob, { source, path: from.source.path, target: to.target }, o);
    await to.target.putManifest(from.digest, { bytes: found.bytes, mediaType: document.mediaType }, o.signal);
  }
}

async function bringBlob(
  blob: Descriptor,
  {
    source,
    path,
    target,
  }: { readonly source: RegistrySource; readonly path: string; readonly target: RegistryTarget },
  { signal }: RegistryAccess,
): Promise<void> {
  if ((await target.hasBlob(blob.digest, signal)) !== undefined) return;
  if (await target.mount(blob.digest, path, signal)) return;
  await using fetched = await source.fetch(blob, { signal, tell: () => undefined });
  await target.upload(() => fetched.read(), { signal });
  fetched.spend();
}
