/**
 * Turning a tree of changes into a layer: its digest and its recipe, from one reading of the files.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Beneath } from "#kernel/beneath.ts";
import { parseDigest } from "#spec/digest.ts";
import { Breath } from "./breath.ts";
import { packTree, type RootLook, readFile } from "./layer-pack.ts";
import { layerNames, type UnpackedLayer } from "./layer-unpack.ts";
import { HeldFile } from "./mutable-file.ts";
import { RecipeWriter } from "./tar-recipe.ts";

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
  let [sizeBytes, tarSizeBytes] = [0, 0];
  const seen = (bytes: Buffer) => {
    hash.update(bytes);
    tarSizeBytes += bytes.length;
  };
  for (const part of packTree(tree, lowerRoot)) {
    if ("structure" in part) {
      seen(part.structure);
      recipe.structure(part.structure);
    } else {
      for (const bytes of readFile(tree, part.path, 0, part.sizeBytes)) {
        seen(bytes);
        if (breath.due) await breath.take();
      }
      recipe.content(part.path, 0, part.sizeBytes);
      sizeBytes += part.sizeBytes;
    }
    if (breath.due) await breath.take();
  }
  recipe.end();
  return { diffId: parseDigest(`sha256:${hash.digest("hex")}`), sizeBytes, tarSizeBytes };
}

/** The same bytes as a stream, of a tree that may be written to meanwhile. */
export async function* treeTar(
  directory: string,
  lowerRoot: RootLook | undefined,
  o: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array> {
  using tree = Beneath.open(directory);
  const breath = new Breath(o.signal);
  for (const part of packTree(tree, lowerRoot)) {
    if ("structure" in part) yield part.structure;
    else {
      using file = HeldFile.at(tree, part.path);
      // Gone by now: the header is out, its bytes must follow.
      if (file === undefined) for (const bytes of zeros(part.sizeBytes)) yield bytes;
      else for (const bytes of file.content(part.sizeBytes)) yield bytes;
    }
    if (breath.due) await breath.take();
  }
}

function* zeros(sizeBytes: number): Generator<Buffer> {
  const part = Buffer.alloc(Math.min(sizeBytes, 256 << 10));
  for (let left = sizeBytes; left > 0; left -= part.length)
    yield part.subarray(0, Math.min(left, part.length));
}
