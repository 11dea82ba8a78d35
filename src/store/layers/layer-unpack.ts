/**
 * A layer's tar into a layer: unpacking with whiteouts, and the recipe to write the same tar again.
 * Owns: three names in a new layer's directory: `files`, `recipe`, and `displaced` for contents of the tar that a later
 * entry replaced.
 */
import { createHash, type Hash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, bytePath, lastName, parentPath, pathText } from "#kernel/files/byte-path.ts";
import { renameAt } from "#kernel/files/files-at.ts";
import { type Digest, parseDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { TarEntry } from "#store/tar/tar-entry.ts";
import { TarReader } from "#store/tar/tar-reader.ts";
import { RecipeWriter } from "#store/tar/tar-recipe.ts";
import type { LowerTree } from "#store/trees/lower-tree.ts";
import {
  isDirectory,
  isWhiteout,
  makeOpaque,
  makeWhiteout,
  opaqueName,
  whiteoutMetaPrefix,
  whiteoutPrefix,
} from "#store/trees/overlay-marks.ts";
import { pumpTar, TreeWriter, type UnpackPolicy } from "#store/trees/unpack.ts";

export const layerNames = {
  files: "files",
  recipe: "recipe",
  displaced: "displaced",
  moves: "moves.json",
} as const;

/** What is replaced by a later entry of the same tar; more is an attack. */
const displacedMax = 100_000;

export interface UnpackedLayer {
  readonly diffId: Digest;
  /** Of all regular files. */
  readonly sizeBytes: number;
  readonly tarSizeBytes: number;
  readonly sharesFiles?: boolean;
}

/** Contents with a smaller ordinal that were at or below `path` are in `displaced/<number>`. */
export interface Move {
  readonly path: BytePath;
  readonly before: number;
  readonly number: number;
}

/** Unpacks a plain tar into `directory`, which exists and is empty. `lower` is what the layers below show. */
export async function unpackLayer(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  lower: LowerTree,
  o: { readonly signal?: AbortSignal | undefined; readonly endRequired: boolean },
): Promise<UnpackedLayer> {
  const files = join(directory, layerNames.files);
  mkdirSync(files, { mode: 0o755 });
  using policy = new LayerPolicy(directory, lower);
  using writer = new TreeWriter(Beneath.open(files), policy);
  policy.writer = writer;
  const reader = new TarReader({
    structure: (bytes) => policy.recipe.structure(bytes),
    entry: (entry) => writer.entry(entry),
    content: (bytes, offset) => writer.content(bytes, offset),
    endEntry: () => writer.endEntry(),
  });
  const hash: Hash = createHash("sha256");
  let tarSizeBytes = 0;
  policy.adoptRoot();
  await pumpTar(tar, reader, {
    ...o,
    seen: (bytes) => {
      hash.update(bytes);
      tarSizeBytes += bytes.length;
    },
  });
  writer.end();
  policy.end();
  const diffId = parseDigest(`sha256:${hash.digest("hex")}`);
  return { diffId, sizeBytes: writer.summary.sizeBytes, tarSizeBytes };
}

class LayerPolicy implements UnpackPolicy, Disposable {
  readonly recipe: RecipeWriter;
  writer: TreeWriter | undefined;
  readonly #directory: string;
  readonly #lower: LowerTree;
  readonly #files: Beneath;
  #displaced: Beneath | undefined;
  readonly #moves: Move[] = [];
  /** The last file written and what its name is once links in it are resolved. */
  #path: BytePath | undefined;
  #resolved = "" as BytePath;

  constructor(directory: string, lower: LowerTree) {
    this.#directory = directory;
    this.#lower = lower;
    this.#files = Beneath.open(join(directory, layerNames.files));
    this.recipe = new RecipeWriter(join(directory, layerNames.recipe));
  }

  /** The root of a layer shows through as the root of the container: it starts out like the one below. */
  adoptRoot(): void {
    const below = this.#lower.lookup("" as BytePath)?.stat;
    this.#files.chown("" as BytePath, below?.uid ?? 0, below?.gid ?? 0);
    this.#files.chmod("" as BytePath, (below?.mode ?? 0o755) & 0o7777);
  }

  special(entry: TarEntry, path: BytePath): boolean {
    this.#path = undefined;
    const name = lastName(path);
    if (path.includes(`/${whiteoutMetaPrefix}`) || path.startsWith(whiteoutMetaPrefix)) {
      if (name === opaqueName && entry.kind === "file") this.#hideAll(parentPath(path));
      return true;
    }
    if (!name.startsWith(whiteoutPrefix)) return false;
    const hidden = name.slice(whiteoutPrefix.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new Fault("invalid", `${pathText(path)} in the archive hides no file that could be`);
    const parent = parentPath(path);
    this.#hide((parent === "" ? hidden : `${parent}/${hidden}`) as BytePath);
    return true;
  }

  /** What this layer itself has at `path` stays, wherever in the tar it stands. */
  #hide(path: BytePath): void {
    // A mark over nothing would show up in listings.
    if (this.#lower.lookup(path) === undefined) return;
    const here = this.#files.stat(path);
    if (isDirectory(here)) makeOpaque(this.#files, path);
    if (here !== undefined) return;
    this.writer?.makeParents(path);
    makeWhiteout(this.#files, path);
  }

  #hideAll(path: BytePath): void {
    if (this.#lower.isEmpty) return;
    const below = this.#lower.lookup(path);
    if (below === undefined || !isDirectory(below.stat)) return;
    this.writer?.makeParents(`${path}/x` as BytePath);
    makeOpaque(this.#files, path);
  }

  isMark = isWhiteout;

  implied(path: BytePath) {
    const below = this.#lower.lookup(path)?.stat;
    return isDirectory(below) ? below : undefined;
  }

  madeDirectory(path: BytePath, replaced: boolean): void {
    // In place of a mark: what is below stays hidden.
    if (replaced && this.#lower.lookup(path) !== undefined) makeOpaque(this.#files, path);
  }

  displace(path: BytePath): void {
    const [from, name] = this.#files.parent(path);
    if (this.#moves.length === displacedMax)
      throw new Fault("invalid", `the archive replaces its own files more than ${displacedMax} times`);
    const directory = join(this.#directory, layerNames.displaced);
    if (this.#displaced === undefined) {
      mkdirSync(directory, { mode: 0o700 });
      this.#displaced = Beneath.open(directory);
    }
    const number = this.#moves.length;
    const moved = this.#files.resolve(path);
    const [to, target] = this.#displaced.parent(bytePath(String(number)));
    renameAt(from, name, to, target);
    this.#moves.push({ path: moved, before: this.recipe.ordinal, number });
    this.#files.forget();
  }

  wrote(path: BytePath, offset: number, length: number): void {
    if (this.#path !== path) {
      this.#path = path;
      this.#resolved = this.#files.resolve(path);
    }
    this.recipe.content(this.#resolved, offset, length);
  }

  end(): void {
    this.recipe.end();
    if (this.#moves.length > 0)
      writeFileSync(join(this.#directory, layerNames.moves), JSON.stringify(this.#moves), { mode: 0o600 });
  }

  [Symbol.dispose](): void {
    this.recipe[Symbol.dispose]();
    this.#files[Symbol.dispose]();
    this.#displaced?.[Symbol.dispose]();
  }
}

/** What was displaced in the layer at `directory`, by path, in the order it happened. */
export function readMoves(directory: string): ReadonlyMap<BytePath, readonly Move[]> {
  const byPath = new Map<BytePath, Move[]>();
  let text: string;
  try {
    text = readFileSync(join(directory, layerNames.moves), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return byPath;
    throw error;
  }
  for (const move of JSON.parse(text) as Move[])
    byPath.set(move.path, [...(byPath.get(move.path) ?? []), move]);
  return byPath;
}
