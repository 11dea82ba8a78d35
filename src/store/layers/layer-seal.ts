/**
 * Turning a tree of changes into a layer: its digest and its recipe, from one reading of the files.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Beneath } from "#kernel/files/beneath.ts";
import { parseDigest } from "#spec/digest.ts";
import { Breath } from "#store/breath.ts";
import { RecipeWriter } from "#store/tar/tar-recipe.ts";
import { FileStretch } from "#store/trees/file-stretch.ts";
import { inParts } from "#store/trees/in-parts.ts";
import { HeldFile } from "#store/trees/mutable-file.ts";
import { openStretch, packTree, type RootLook } from "./layer-pack.ts";
import { layerNames, type UnpackedLayer } from "./layer-unpack.ts";

/** Of one read. */
const readBytes = 256 << 10;

/** The tree is `directory/files`; the recipe is written beside it. Nobody writes to the tree meanwhile. */
export async function sealLayer(
  directory: string,
  lowerRoot: RootLook | undefined,
  o: { readonly signal?: AbortSignal | undefined } = {},
): Promise<UnpackedLayer> {
  using tree = Beneath.open(join(directory, layerNames.files));
  using recipe = new RecipeWriter(join(directory, layerNames.recipe));
  const hash = createHash("sha256");
  const breath = new Breath(o.signal);
  const room = Buffer.allocUnsafeSlow(readBytes);
  let [sizeBytes, tarSizeBytes, sharesFiles] = [0, 0, false];
  const seen = (bytes: Buffer) => {
    hash.update(bytes);
    tarSizeBytes += bytes.length;
  };
  for (const part of packTree(tree, lowerRoot)) {
    if ("structure" in part) {
      seen(part.structure);
      sharesFiles ||= part.manyNames === true;
      recipe.structure(part.structure);
    } else {
      using stretch = openStretch(tree, part.path, 0, part.sizeBytes);
      while (stretch.leftBytes > 0) {
        seen(room.subarray(0, stretch.read(room)));
        if (breath.due) await breath.take();
      }
      recipe.content(part.path, 0, part.sizeBytes);
      sizeBytes += part.sizeBytes;
    }
    if (breath.due) await breath.take();
  }
  recipe.end();
  const diffId = parseDigest(`sha256:${hash.digest("hex")}`);
  return { diffId, sizeBytes, tarSizeBytes, ...(sharesFiles && { sharesFiles }) };
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
  for (const part of packTree(tree, lowerRoot)) {
    if ("structure" in part) yield part.structure;
    else {
      using file = HeldFile.at(tree, part.path);
      // Gone by now: the header is out, its bytes must follow.
      using stretch =
        file?.content(part.sizeBytes) ?? new FileStretch(undefined, { lengthBytes: part.sizeBytes });
      yield stretch;
    }
  }
}
