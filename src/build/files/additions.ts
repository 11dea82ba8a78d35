/**
 * What a copy adds to an image and nothing there has a name for: put straight into the layer to be, past the overlay, for
 * which each new file is several.
 * Promises: what is put is what the copy would have put. Only for layers that are not mounted at that moment.
 */
import { existsSync } from "node:fs";
import { type AddedTree, type AdditionTaker, Copier, type CopyOptions } from "./copier.ts";

interface Pair {
  readonly from: string;
  readonly to: string;
}

export class Additions implements AdditionTaker {
  readonly #root: string;
  readonly #trees: AddedTree[] = [];
  readonly #files: Pair[] = [];
  readonly #times: Pair[] = [];

  /** Targets are below `root`, where the image is mounted. */
  constructor(root: string) {
    this.#root = root;
  }

  get isEmpty(): boolean {
    return this.#trees.length === 0 && this.#files.length === 0;
  }

  tree(added: AddedTree): void {
    this.#trees.push(added);
  }

  file(from: string, to: string): void {
    this.#files.push({ from, to });
  }

  times(from: string, to: string): void {
    this.#times.push({ from, to });
  }

  /** Puts all of it into the directory of the image's changes. */
  async put(changes: string, o: CopyOptions): Promise<void> {
    const copier = new Copier(o);
    const placed = (to: string) => `${changes}${to.slice(this.#root.length)}`;
    for (const { from, to } of this.#files) await copier.entry(from, placed(to));
    for (const { from, to, path, directory, filter } of this.#trees) {
      const target = `${placed(to)}/${path}`;
      await copier.entry(`${from}/${path}`, target);
      if (!directory) continue;
      await copier.directory(from, placed(to), filter, `${path}/`);
      copier.times(`${from}/${path}`, target);
    }
    for (const { from, to } of this.#times) if (existsSync(placed(to))) copier.times(from, placed(to));
  }
}
