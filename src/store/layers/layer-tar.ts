/** A layer's tar from its recipe and its files: the bytes whose digest the layer has. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Beneath } from "#kernel/files/beneath.ts";
import type { BytePath } from "#kernel/files/byte-path.ts";
import { readRecipe } from "#store/tar/tar-recipe.ts";
import type { FileStretch } from "#store/trees/file-stretch.ts";
import { inParts } from "#store/trees/in-parts.ts";
import { openStretch } from "./layer-pack.ts";
import { layerNames, type Move, readMoves } from "./layer-unpack.ts";

/** In parts that are lent until the next one. @throws Fault `internal` when the layer is damaged. Closes what it opened however reading ends. */
export function layerTar(
  directory: string,
  o: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array> {
  return inParts(pieces(directory), o);
}

function* pieces(directory: string): Generator<Buffer | FileStretch> {
  using source = new LayerSource(directory);
  for (const part of readRecipe(join(directory, layerNames.recipe))) {
    if ("structure" in part) yield part.structure;
    else {
      using stretch = source.open(part);
      yield stretch;
    }
  }
}

/** Where the contents are: with the files, or put aside when a later entry took the name. */
class LayerSource implements Disposable {
  readonly #files: Beneath;
  readonly #displaced: Beneath | undefined;
  readonly #moves: ReadonlyMap<BytePath, readonly Move[]>;

  constructor(directory: string) {
    this.#files = Beneath.open(join(directory, layerNames.files));
    const displaced = join(directory, layerNames.displaced);
    this.#displaced = existsSync(displaced) ? Beneath.open(displaced) : undefined;
    this.#moves = readMoves(directory);
  }

  open(part: { path: BytePath; offset: number; length: number; ordinal: number }): FileStretch {
    const moved = this.#moves.size === 0 ? undefined : this.#movedPath(part.path, part.ordinal);
    if (moved !== undefined && this.#displaced !== undefined)
      return openStretch(this.#displaced, moved, part.offset, part.length);
    return openStretch(this.#files, part.path, part.offset, part.length);
  }

  #movedPath(path: BytePath, ordinal: number): BytePath | undefined {
    let first: Move | undefined;
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1))
      for (const move of this.#moves.get(path.slice(0, end) as BytePath) ?? [])
        if (ordinal < move.before && (first === undefined || move.number < first.number)) first = move;
    return first === undefined ? undefined : (`${first.number}${path.slice(first.path.length)}` as BytePath);
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
    this.#displaced?.[Symbol.dispose]();
  }
}
