/** Pure. What a pulled image is called afterwards. */

import type { Variants } from "#engine/images/image-index.ts";
import type { Digest } from "#spec/digest.ts";
import { formatReference, type Reference } from "#spec/reference.ts";

export interface PulledNames {
  readonly names: readonly {
    readonly name: string;
    readonly leadsTo: Digest;
    readonly variants?: Variants;
  }[];
  /** False when the reference meant this image before. */
  readonly fresh: boolean;
}

/** The tables as far as names need them. */
interface KnownNames {
  nameOf(reference: string): string | undefined;
  candidates(reference: string): readonly { readonly id: Digest }[];
  variants(name: string): Variants | undefined;
}

/**
 * The tag and the digest it had; images of the same index for other platforms keep the name too. It leads to the one that
 * runs best here (`ranksHere`: 0 is best, undefined not at all), or else to the one that came last.
 */
export function namesOfPull(o: {
  readonly reference: Reference;
  readonly id: Digest;
  readonly topDigest: Digest;
  readonly isIndex: boolean;
  readonly index: KnownNames;
  readonly ranksHere: (id: Digest) => number | undefined;
}): PulledNames {
  const { domain, path, tag, digest } = o.reference;
  const byDigest = formatReference({ domain, path, digest: o.topDigest });
  // As in Docker, a tag beside a digest is not kept.
  const byTag =
    digest === undefined ? formatReference({ domain, path, ...(tag !== undefined && { tag }) }) : undefined;
  const asked = byTag ?? byDigest;
  const known = o.index.nameOf(asked) === undefined ? [] : o.index.candidates(asked);
  const names = (byTag === undefined ? [byDigest] : [byTag, byDigest]).map((name) => {
    if (!o.isIndex) return { name, leadsTo: o.id };
    const earlier = o.index.variants(name);
    const others = earlier?.index === o.topDigest ? earlier.images.filter((each) => each !== o.id) : [];
    const ranked = [o.id, ...others]
      .map((id) => ({ id, rank: o.ranksHere(id) ?? Number.POSITIVE_INFINITY }))
      .sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank));
    const images = ranked.map(({ id }) => id);
    return { name, leadsTo: images[0] ?? o.id, variants: { index: o.topDigest, images } };
  });
  return { names, fresh: !known.some(({ id }) => id === o.id) };
}
