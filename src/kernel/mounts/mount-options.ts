/** Pure. The text of `mount -o` taken apart into what mount(2) takes: flags, propagation, and data for the file system. */
import type { Propagation } from "./mount.ts";

export interface MountOptions {
  /** Bits of mount(2). */
  readonly flags: number;
  readonly propagation?: Propagation;
  /** What the file system itself is told. */
  readonly data: string;
}

/** Bits of mount(2) by their names in mount(8); `false` takes a bit away. */
const words: Readonly<Record<string, readonly [bit: number, set: boolean]>> = {
  defaults: [0, true],
  ...{ ro: [1, true], rw: [1, false], nosuid: [1 << 1, true], suid: [1 << 1, false] },
  ...{ nodev: [1 << 2, true], dev: [1 << 2, false], noexec: [1 << 3, true], exec: [1 << 3, false] },
  ...{ sync: [1 << 4, true], async: [1 << 4, false], remount: [1 << 5, true], mand: [1 << 6, true] },
  ...{ nomand: [1 << 6, false], dirsync: [1 << 7, true], noatime: [1 << 10, true], atime: [1 << 10, false] },
  ...{ nodiratime: [1 << 11, true], diratime: [1 << 11, false], bind: [1 << 12, true] },
  ...{ rbind: [(1 << 12) | (1 << 14), true], relatime: [1 << 21, true], norelatime: [1 << 21, false] },
  ...{ strictatime: [1 << 24, true], nostrictatime: [1 << 24, false] },
};

const propagations = new Set<string>([
  ...["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"],
]);

/** Later words win, as for mount(8). */
export function parseMountOptions(text: string): MountOptions {
  let flags = 0;
  let propagation: Propagation | undefined;
  const data: string[] = [];
  for (const word of text.split(",")) {
    const known = Object.hasOwn(words, word) ? words[word] : undefined;
    if (known !== undefined) flags = known[1] ? flags | known[0] : flags & ~known[0];
    else if (propagations.has(word)) propagation = word as Propagation;
    else if (word !== "") data.push(word);
  }
  return { flags, data: data.join(","), ...(propagation !== undefined && { propagation }) };
}
