/**
 * Image records and their names, over two tables of the store: what `images`, `tag` and every look-up begin with.
 * Owns: the tables. Promises: a name leads to a record that is there. Never: touches blobs or layers.
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
}

export class ImageIndex {
  readonly #records: Records;
  readonly #images: Table<ImageRecord>;
  /** Canonical name with tag → image id. */
  readonly #names: Table<Digest>;

  constructor(records: Records) {
    this.#records = records;
    this.#images = records.table<ImageRecord>("images");
    this.#names = records.table<Digest>("image-names");
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
    const found = this.#byName(reference) ?? this.#byId(reference);
    if (found === undefined) throw new Fault("not-found", `No such image: ${withTagShown(reference)}`);
    return found;
  }

  /** The canonical name in `reference` when it is one of an image's names. */
  nameOf(reference: string): string | undefined {
    const name = canonicalName(reference);
    return name !== undefined && this.#names.get(name) !== undefined ? name : undefined;
  }

  /** Familiar names with tags, sorted. */
  references(id: Digest): string[] {
    return this.names(id)
      .map((name) => familiarReference(parseReference(name)))
      .sort();
  }

  /** Canonical names. */
  names(id: Digest): string[] {
    return this.#names.entries().flatMap(([name, owner]) => (owner === id ? [name] : []));
  }

  children(id: Digest): ImageRecord[] {
    return this.#images.list().filter((image) => image.parent === id);
  }

  put(record: ImageRecord): void {
    this.#images.put(record.id, record);
  }

  /** Points a name at an image, away from whatever had it. @throws Fault `invalid` on a malformed name. */
  tag(id: Digest, target: string): void {
    const reference = parseReference(target);
    if (reference.digest !== undefined)
      throw new Fault("invalid", "refusing to create a tag with a digest reference");
    this.#names.put(formatReference(withDefaultTag(reference)), id);
  }

  untag(name: string): void {
    this.#names.delete(name);
  }

  /** The record and every name of it, in one transaction. */
  delete(id: Digest): void {
    this.#records.transaction(() => {
      for (const name of this.names(id)) this.#names.delete(name);
      this.#images.delete(id);
    });
  }

  #byName(reference: string): ImageRecord | undefined {
    const name = canonicalName(reference);
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

function canonicalName(reference: string): string | undefined {
  if (/^(sha256:)?[0-9a-f]{64}$/.test(reference)) return undefined;
  try {
    return formatReference(withDefaultTag(parseReference(reference)));
  } catch {
    return undefined;
  }
}

/** Docker names the tag it looked for. */
function withTagShown(reference: string): string {
  const name = canonicalName(reference);
  return name === undefined ? reference : familiarReference(parseReference(name));
}
