/**
 * What a copy adds to an image and nothing there has a name for: put straight into the layer to be, past the overlay, for
 * which each new file is several.
 * Promises: what is put is what the copy would have put, source by source. Only for layers that are not mounted at that moment.
 */
import { existsSync } from "node:fs";
import { type AddedTree, type AdditionTaker, Copier, type CopyOptions } from "./copier.ts";

interface Pair {
  readonly from: string;
  readonly to: string;
}

/** Of one source, in the order of the copy. */
interface Group {
  added: (AddedTree | Pair)[];
  times: Pair[];
}

export class Additions implements AdditionTaker {
  readonly #root: string;
  readonly #groups: Group[] = [];

  /** Targets are below `root`, where the image is mounted. */
  constructor(root: string) {
    this.#root = root;
  }

  get isEmpty(): boolean {
    return this.#groups.every(({ added }) => added.length === 0);
  }

  /** What comes from now on is of another source. */
  next(): void {
    this.#groups.push({ added: [], times: [] });
  }

  get #group(): Group {
    if (this.#groups.length === 0) this.next();
    return this.#groups.at(-1) ?? { added: [], times: [] };
  }

  tree(added: AddedTree): void {
    this.#group.added.push(added);
  }

  file(from: string, to: string): void {
    this.#group.added.push({ from, to });
  }

  times(from: string, to: string): void {
    this.#group.times.push({ from, to });
  }

  /** A directory gives way to something else, and what was to be added in it with it. */
  displaced(directory: string): void {
    const below = `${directory}/`;
    const target = (each: AddedTree | Pair) => ("path" in each ? `${each.to}/${each.path}` : each.to);
    for (const group of this.#groups) {
      group.added = group.added.filter((each) => !target(each).startsWith(below));
      group.times = group.times.filter(({ to }) => to !== directory && !to.startsWith(below));
    }
  }

  /** Puts all of it into the directory of the image's changes. */
  async put(changes: string, o: CopyOptions): Promise<void> {
    const placed = (to: string) => `${changes}${to.slice(this.#root.length)}`;
    const several = this.#groups.filter(({ added }) => added.length > 0).length > 1;
    // A file that two sources bring is two files, and not two names of one.
    const shared = new Set<number>();
    for (const { added, times } of this.#groups) {
      const copier = new Copier({ ...o, ...(several && { shared: new Set(shared) }) });
      for (const each of added)
        if ("path" in each) await putTree(copier, each, placed(each.to));
        else await copier.entry(each.from, placed(each.to));
      for (const inode of copier.linked) shared.add(inode);
      for (const { from, to } of times) if (existsSync(placed(to))) copier.times(from, placed(to));
    }
  }
}

async function putTree(
  copier: Copier,
  { from, path, directory, filter }: AddedTree,
  to: string,
): Promise<void> {
  const target = `${to}/${path}`;
  await copier.entry(`${from}/${path}`, target);
  if (!directory) return;
  await copier.directory(from, to, filter, `${path}/`);
  copier.times(`${from}/${path}`, target);
}
