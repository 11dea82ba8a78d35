/**
 * Image records and their names, over tables of the store: what `images`, `tag` and every look-up begin with.
 * Owns: the tables. Promises: a name leads to a record that is there. Never: touches blobs or layers.
 *
 * A name may stand for one image on each of several platforms, as it does in a registry. It leads to the first of them
 * unless a platform is asked for.
 */
import { type ChainId, type Digest, encodedDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { familiarReference, formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import type { Records, Table } from "#store/records.ts";

/** One image. Its config's bytes are the blob `id`. */
export interface ImageRecord {
  readonly id: Digest;
  /** The topmost layer; absent when the image has none. */
  readonly chainId?: ChainId;
  /** The image this one was made from by a build step. */
  readonly parent?: Digest;
  /** RFC 3339. */
  readonly created: string;
  /** All layers, unpacked. */
  readonly sizeBytes: number;
  /** A step on the way to another image: listed only when all are. */
  readonly intermediate: boolean;
  /** When it was last given a name. RFC 3339. */
  readonly tagged?: string;
}

/** What else a name stands for. */
export interface Variants {
  /** The index all of them are of; its bytes are a blob. */
  readonly index?: Digest;
  /** One per platform, the name's own first. */
  readonly images: readonly Digest[];
}

export class ImageIndex {
  readonly #records: Records;
  readonly #images: Table<ImageRecord>;
  /** Canonical name with tag or digest → image id. */
  readonly #names: Table<Digest>;
  /** The same names, of those that stand for more than one image. */
  readonly #variants: Table<Variants>;

  constructor(records: Records) {
    this.#records = records;
    this.#images = records.table<ImageRecord>("images");
    this.#names = records.table<Digest>("image-names");
    this.#variants = records.table<Variants>("image-variants");
  }

  list(): ImageRecord[] {
    return this.#images.list().sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : 0));
  }

  find(id: Digest): ImageRecord | undefined {
    return this.#images.get(id);
  }

  /**
   * By name (the tag defaults to `latest`), full id, or a prefix of one image's id.
   * @throws Fault `not-found` in Docker's words.
   */
  get(reference: string): ImageRecord {
    const found = this.#byName(reference) ?? this.#byDigest(reference) ?? this.#byId(reference);
    if (found === undefined) throw new Fault("not-found", `No such image: ${withTagShown(reference)}`);
    return found;
  }

  /** Everything the reference stands for, the image of `get` first. @throws Fault `not-found`. */
  candidates(reference: string): ImageRecord[] {
    const first = this.get(reference);
    const name = this.nameOf(reference);
    const others = (name === undefined ? undefined : this.#variants.get(name))?.images ?? [];
    return [first, ...others.flatMap((id) => (id === first.id ? [] : (this.find(id) ?? [])))];
  }

  /** The canonical name in `reference` when it is one of an image's names. */
  nameOf(reference: string): string | undefined {
    const name = canonicalName(reference);
    if (name !== undefined && this.#names.get(name) !== undefined) return name;
    return digestName(reference, (each) => this.#names.get(each) !== undefined);
  }

  /** Familiar names with tags or digests, in the order of the canonical ones, as Docker's. */
  references(id: Digest): string[] {
    return familiar(this.names(id));
  }

  /** Familiar names by image. */
  allReferences(): ReadonlyMap<Digest, string[]> {
    const byImage = new Map<Digest, string[]>();
    for (const [name, id] of this.#names.entries()) byImage.set(id, [...(byImage.get(id) ?? []), name]);
    return new Map([...byImage].map(([id, names]) => [id, familiar(names)]));
  }

  /** Canonical names. */
  names(id: Digest): string[] {
    return this.#names.entries().flatMap(([name, owner]) => (owner === id ? [name] : []));
  }

  /** Every canonical name and what it leads to. */
  allNames(): [name: string, id: Digest][] {
    return this.#names.entries();
  }

  variants(name: string): Variants | undefined {
    return this.#variants.get(name);
  }

  /** Names that lead to it only when its platform is asked for. */
  variantNames(id: Digest): string[] {
    return this.#variants
      .entries()
      .flatMap(([name, { images }]) => (images.includes(id) && this.#names.get(name) !== id ? [name] : []));
  }

  /** Digests of the indexes that names stand for. */
  indexes(): Digest[] {
    return this.#variants.list().flatMap(({ index }) => (index === undefined ? [] : [index]));
  }

  children(id: Digest): ImageRecord[] {
    return this.#images.list().filter((image) => image.parent === id);
  }

  put(record: ImageRecord): void {
    this.#images.put(record.id, record);
  }

  /** Points a name at an image, away from whatever had it. @throws Fault `invalid` on a malformed name. */
  tag(id: Digest, target: string, variants?: Variants): void {
    const reference = parseReference(target);
    if (reference.digest !== undefined)
      throw new Fault("invalid", "refusing to create a tag with a digest reference");
    this.name(id, formatReference(withDefaultTag(reference)), variants);
  }

  /** The same for a canonical name, also one with a digest. */
  name(id: Digest, name: string, variants?: Variants): void {
    this.transaction(() => {
      this.#names.put(name, id);
      if (variants === undefined) this.#variants.delete(name);
      else this.#variants.put(name, variants);
    });
  }

  untag(name: string): void {
    this.transaction(() => {
      this.#names.delete(name);
      this.#variants.delete(name);
    });
  }

  /** The record and every name of it, in one transaction. */
  delete(id: Digest): void {
    this.transaction(() => {
      for (const name of this.names(id)) this.untag(name);
      for (const [name, { images, ...rest }] of this.#variants.entries())
        if (images.includes(id))
          this.#variants.put(name, { ...rest, images: images.filter((each) => each !== id) });
      this.#images.delete(id);
    });
  }

  transaction<R>(work: () => R): R {
    return this.#records.transaction(work);
  }

  #byName(reference: string): ImageRecord | undefined {
    const name = canonicalName(reference);
    const id = name === undefined ? undefined : this.#names.get(name);
    return id === undefined ? undefined : this.#images.get(id);
  }

  /** `name:tag@digest`: the digest decides. */
  #byDigest(reference: string): ImageRecord | undefined {
    const name = digestName(reference, (each) => this.#names.get(each) !== undefined);
    const id = name === undefined ? undefined : this.#names.get(name);
    return id === undefined ? undefined : this.#images.get(id);
  }

  #byId(reference: string): ImageRecord | undefined {
    const hex = reference.replace(/^sha256:/, "");
    if (!/^[0-9a-f]{1,64}$/.test(hex)) return undefined;
    const fits = this.#images.list().filter((image) => encodedDigest(image.id).startsWith(hex));
    return fits.length === 1 ? fits[0] : undefined;
  }
}

function familiar(names: readonly string[]): string[] {
  return [...names].sort().map((name) => familiarReference(parseReference(name)));
}

function canonicalName(reference: string): string | undefined {
  if (/^(sha256:)?[0-9a-f]{64}$/.test(reference)) return undefined;
  try {
    return formatReference(withDefaultTag(parseReference(reference)));
  } catch {
    return undefined;
  }
}

/** The name by digest alone, when it is `known`. */
function digestName(reference: string, known: (name: string) => boolean): string | undefined {
  if (!reference.includes("@")) return undefined;
  try {
    const { domain, path, digest } = parseReference(reference);
    const name = digest === undefined ? undefined : formatReference({ domain, path, digest });
    return name !== undefined && known(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Docker names the tag it looked for. */
function withTagShown(reference: string): string {
  const name = canonicalName(reference);
  return name === undefined ? reference : familiarReference(parseReference(name));
}
