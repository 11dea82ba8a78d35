/**
 * Turning a tree of changes into a layer: its digest and its recipe, from one reading of the files.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Beneath } from "#kernel/files/beneath.ts";
import { readInto } from "#kernel/files/files-at.ts";
import { pinnedBuffer } from "#kernel/libc.ts";
import { parseDigest } from "#spec/digest.ts";
import { Breath } from "#store/breath.ts";
import { RecipeWriter } from "#store/tar/tar-recipe.ts";
import { paddingAfter } from "#store/tar/tar-writer.ts";
import { FileStretch } from "#store/trees/file-stretch.ts";
import { inParts } from "#store/trees/in-parts.ts";
import { HeldFile } from "#store/trees/mutable-file.ts";
import { packTree, type RootLook } from "./layer-pack.ts";
import { layerNames, type UnpackedLayer } from "./layer-unpack.ts";

/** Hashed at a time: most files are much smaller, and each call has its price. */
const gatheredBytes = 256 << 10;

/** The tree is `directory/files`; the recipe is written beside it. Nobody writes to the tree meanwhile. */
export async function sealLayer(
  directory: string,
  lowerRoot: RootLook | undefined,
  o: { readonly signal?: AbortSignal | undefined } = {},
): Promise<UnpackedLayer> {
  using tree = Beneath.open(join(directory, layerNames.files));
  using recipe = new RecipeWriter(join(directory, layerNames.recipe));
  const tar = new GatheredHash();
  const breath = new Breath(o.signal);
  let [sizeBytes, sharesFiles] = [0, false];
  for (const { header, path, sizeBytes: length, manyNames, file } of packTree(tree, lowerRoot, {
    still: true,
  })) {
    tar.add(header);
    recipe.structure(header);
    sharesFiles ||= manyNames === true;
    if (file !== undefined) {
      for (let left = length; left > 0; ) {
        left -= tar.read(file, left);
        if (breath.due) await breath.take();
      }
      recipe.content(path, 0, length);
      sizeBytes += length;
      const padding = paddingAfter(length);
      if (padding.length > 0) {
        tar.add(padding);
        recipe.structure(padding);
      }
    }
    if (breath.due) await breath.take();
  }
  recipe.end();
  const { sizeBytes: tarSizeBytes, hex } = tar.end();
  const diffId = parseDigest(`sha256:${hex}`);
  return { diffId, sizeBytes, tarSizeBytes, ...(sharesFiles && { sharesFiles }) };
}

/** SHA-256 of many small pieces. */
class GatheredHash {
  readonly #hash = createHash("sha256");
  readonly #room = pinnedBuffer(gatheredBytes);
  #used = 0;
  #before = 0;

  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.copy(this.#room, this.#used, at);
      at += taken;
      this.#take(taken);
    }
  }

  /** Up to `length` bytes of an open file, at least one; what it lacks by now are zeros. @returns How many. */
  read(file: number, length: number): number {
    const wanted = Math.min(length, gatheredBytes - this.#used);
    const got = readInto(file, this.#room, { offset: this.#used, length: wanted });
    if (got === 0) this.#room.fill(0, this.#used, this.#used + wanted);
    const done = got === 0 ? wanted : got;
    this.#take(done);
    return done;
  }

  #take(bytes: number): void {
    this.#used += bytes;
    if (this.#used === gatheredBytes) this.#flush();
  }

  #flush(): void {
    this.#hash.update(this.#room.subarray(0, this.#used));
    this.#before += this.#used;
    this.#used = 0;
  }

  end(): { readonly sizeBytes: number; readonly hex: string } {
    this.#flush();
    return { sizeBytes: this.#before, hex: this.#hash.digest("hex") };
  }
}

/** The same bytes as a stream, of a tree that may be written to meanwhile. Parts are lent until the next one. */
export function treeTar(
  directory: string,
  lowerRoot: RootLook | undefined,
  o: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array> {
  return inParts(pieces(directory, lowerRoot), o);
}

function* pieces(directory: string, lowerRoot: RootLook | undefined): Generator<Buffer | FileStretch> {
  using tree = Beneath.open(directory);
  for (const { header, path, sizeBytes } of packTree(tree, lowerRoot)) {
    yield header;
    if (sizeBytes === 0) continue;
    using file = HeldFile.at(tree, path);
    // Gone by now: the header is out, its bytes must follow.
    using stretch = file?.content(sizeBytes) ?? new FileStretch(undefined, { lengthBytes: sizeBytes });
    yield stretch;
    yield paddingAfter(sizeBytes);
  }
}
