/** Pure. Which images a list has in it, and how much of each is shared. */
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { booleanFilter, type Filters, matchesLabels } from "#spec/filters.ts";
import { isPattern, pathMatcher } from "#spec/go-text.ts";
import type { ImageConfig } from "#spec/image.ts";
import { familiarName, parseReference } from "#spec/reference.ts";
import type { ImageRecord } from "./image-index.ts";

export interface ImageDetail {
  readonly record: ImageRecord;
  readonly config: ImageConfig;
  /** Familiar names with tags or digests: `alpine:3`. */
  readonly references: readonly string[];
}

/** What a list is made from. */
export interface ListLook {
  readonly images: readonly ImageDetail[];
  /** Hidden steps and images behind another platform's name are in it. */
  readonly all: boolean;
  /** Images that others were made from. */
  readonly parents: ReadonlySet<Digest>;
  /** Images that a name stands for beside its first. */
  readonly variants: ReadonlySet<Digest>;
  /** RFC 3339, of what `before` and `since` name. */
  readonly createdOf: (reference: string) => string;
}

/** With a `reference` filter, an image is in it with the names that fit. @throws Fault `invalid` for a pattern that is none. */
export function listImages(look: ListLook, filters: Filters): ImageDetail[] {
  const wanted = filters["reference"];
  if (wanted?.every(isPattern) === false) throw new Fault("invalid", "syntax error in pattern");
  return look.images
    .filter(({ record, references }) => {
      const unnamed = references.length === 0;
      const hidden =
        record.intermediate || (unnamed && (look.parents.has(record.id) || look.variants.has(record.id)));
      return look.all || !hidden;
    })
    .filter((image) => matches(look, image, filters))
    .flatMap((image) => {
      if (wanted === undefined) return [image];
      const references = image.references.filter((name) => wanted.some((pattern) => fits(pattern, name)));
      return references.length === 0 ? [] : [{ ...image, references }];
    });
}

function matches(look: ListLook, { record, config, references }: ImageDetail, filters: Filters): boolean {
  const tags = references.filter((name) => !name.includes("@"));
  if (filters["dangling"] !== undefined && booleanFilter(filters, "dangling", false) === tags.length > 0)
    return false;
  const { Labels } = config.config;
  if (!matchesLabels(filters["label"], Labels)) return false;
  if (filters["label!"]?.some((label) => matchesLabels([label], Labels)) === true) return false;
  const { created } = record;
  return (
    (filters["before"] ?? []).every((name) => created < look.createdOf(name)) &&
    (filters["since"] ?? []).every((name) => created > look.createdOf(name))
  );
}

/** As Docker matches: the whole familiar reference, or the name without tag and digest. */
function fits(pattern: string, name: string): boolean {
  const matches = pathMatcher(pattern);
  return matches(name) || matches(familiarName(parseReference(name)));
}

/**
 * Bytes of each image's layers that another image has too, by image. `chainOf` gives an image's layers.
 */
export function sharedSizes(
  images: readonly ImageRecord[],
  chainOf: (image: ImageRecord) => readonly { readonly chainId: ChainId; readonly sizeBytes: number }[],
): ReadonlyMap<Digest, number> {
  const users = new Map<ChainId, number>();
  const chains = images.map((image) => [image.id, chainOf(image)] as const);
  for (const [, chain] of chains)
    for (const { chainId } of chain) users.set(chainId, (users.get(chainId) ?? 0) + 1);
  return new Map(
    chains.map(([id, chain]) => [
      id,
      chain.reduce((sum, { chainId, sizeBytes }) => sum + ((users.get(chainId) ?? 0) > 1 ? sizeBytes : 0), 0),
    ]),
  );
}
