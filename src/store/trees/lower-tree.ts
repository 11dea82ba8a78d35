/**
 * What a stack of layers shows, looked up without mounting it.
 * Owns: one descriptor for each layer it had to look into, until disposed.
 */
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, parentPath } from "#kernel/files/byte-path.ts";
import type { FileStat } from "#kernel/files/files-at.ts";
import { isDirectory, isOpaque, isWhiteout } from "./overlay-marks.ts";

/** A file as the stack shows it. */
export interface LowerFile {
  readonly stat: FileStat;
  /** Of the layer it is in. */
  readonly tree: Beneath;
}

/** Directories remembered; a walk in order needs few. */
const rememberedMax = 4096;

export class LowerTree implements Disposable {
  readonly #paths: readonly string[];
  readonly #trees: (Beneath | undefined)[] = [];
  readonly #merged = new Map<BytePath, readonly number[]>();

  /** Host paths of the layers, the topmost first. */
  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  get isEmpty(): boolean {
    return this.#paths.length === 0;
  }

  /** Undefined when no layer shows it. For the root: that of the topmost layer. Links are not followed. */
  lookup(path: BytePath): LowerFile | undefined {
    for (const index of path === "" ? this.#layersOf(path).slice(0, 1) : this.#layersOf(parentPath(path))) {
      const tree = this.#tree(index);
      const stat = tree.stat(path);
      if (stat !== undefined) return isWhiteout(stat) ? undefined : { stat, tree };
    }
    return undefined;
  }

  /** Names in a directory, sorted by their bytes; none when it is no directory. */
  list(path: BytePath): BytePath[] {
    const shown = new Map<BytePath, boolean>();
    for (const index of this.#layersOf(path))
      for (const name of this.#tree(index).list(path)) if (!shown.has(name)) shown.set(name, true);
    const full = (name: BytePath) => (path === "" ? name : `${path}/${name}`) as BytePath;
    return [...shown.keys()].filter((name) => this.lookup(full(name)) !== undefined).sort();
  }

  /** The layers whose content shows in a directory, the topmost first. */
  #layersOf(path: BytePath): readonly number[] {
    if (path === "") return this.#paths.map((_, index) => index);
    const known = this.#merged.get(path);
    if (known !== undefined) return known;
    const merged: number[] = [];
    for (const index of this.#layersOf(parentPath(path))) {
      const tree = this.#tree(index);
      const stat = tree.stat(path);
      if (stat === undefined) continue;
      if (!isDirectory(stat)) break;
      merged.push(index);
      if (isOpaque(tree, path)) break;
    }
    if (this.#merged.size >= rememberedMax) this.#merged.clear();
    this.#merged.set(path, merged);
    return merged;
  }

  #tree(index: number): Beneath {
    const known = this.#trees[index];
    if (known !== undefined) return known;
    const tree = Beneath.open(this.#paths[index] ?? "");
    this.#trees[index] = tree;
    return tree;
  }

  [Symbol.dispose](): void {
    for (const tree of this.#trees) tree?.[Symbol.dispose]();
    this.#trees.length = 0;
  }
}
