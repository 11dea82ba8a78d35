/**
 * Which writable layers are mounted, and which are looked into without being mounted.
 * Promises: one file system has one overlay at a time, whoever asks for it in whatever order: two would not see each
 * other's changes. What is only held is mounted nowhere, and gone with the process.
 */
import { type BytePath, bytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, descriptorPath, openAt, openFlag } from "#kernel/files/files-at.ts";
import { Errno } from "#kernel/libc.ts";
import {
  attachMount,
  cloneMount,
  mountOverlay,
  mountsBeneath,
  openOverlay,
  unmount,
} from "#kernel/mounts/mount.ts";

export interface OverlayPaths {
  /** The topmost first. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
  readonly merged: string;
}

/** What the kernel might default to would put marks into layers that other hosts cannot read. */
const overlayOptions = ["redirect_dir=off", "metacopy=off", "index=off"] as const;

/**
 * Nothing is on the disk for sure when it is unmounted; without it the kernel writes all out that the disk's file system
 * still has in memory, whosever it is, and waits for that. Such an overlay cannot be mounted twice. Since Linux 5.10.
 */
const volatile = "volatile";

const currentDirectory = -100;

export interface MountOptions {
  /** Mounted once: afterwards its changes become a layer, or go. @default false */
  readonly brief?: boolean;
}

interface Held {
  /** A mount of the overlay that is mounted nowhere; none as long as it is mounted where it belongs. */
  mount: number | undefined;
  holders: number;
}

/** The root of a file system, for as long as it is not disposed. The descriptor is the holder's to close. */
export interface HeldRoot extends Disposable {
  readonly descriptor: number;
}

export class WritableMounts {
  readonly #mounted: Set<string>;
  readonly #held = new Map<string, Held>();

  /** Knows of what is mounted beneath `root` already. */
  constructor(root: string) {
    this.#mounted = new Set(mountsBeneath(root).map((mount) => mount.target));
  }

  /** Idempotent. */
  mount(paths: OverlayPaths, o: MountOptions = {}): void {
    const { merged } = paths;
    if (this.#mounted.has(merged)) return;
    const held = this.#held.get(merged);
    if (held?.mount === undefined) mountAtPlace(paths, o.brief === true);
    else {
      attachMount(held.mount, merged);
      closeDescriptor(held.mount);
      held.mount = undefined;
    }
    this.#mounted.add(merged);
  }

  /** As the kernel has it. */
  isMounted(merged: string): boolean {
    return mountsBeneath(merged).length > 0;
  }

  /** Of what somebody else mounted there, too. Idempotent. */
  unmountStray(merged: string): void {
    this.unmount(merged);
    for (const { target } of mountsBeneath(merged).toReversed()) unmount(target, { detach: true });
  }

  /** Idempotent. Those who hold it go on seeing it. */
  unmount(merged: string): void {
    if (!this.#mounted.has(merged)) return;
    const held = this.#held.get(merged);
    if (held !== undefined) held.mount = cloneMount(merged);
    unmount(merged, { detach: true });
    this.#mounted.delete(merged);
  }

  hold({ lower, upper, work, merged }: OverlayPaths): HeldRoot {
    const held: Held = this.#held.get(merged) ?? {
      mount: this.#mounted.has(merged)
        ? undefined
        : openOverlay({ lower, upper, work, target: merged, options: overlayOptions }),
      holders: 0,
    };
    this.#held.set(merged, held);
    held.holders++;
    const stack = new DisposableStack();
    stack.defer(() => this.#release(merged, held));
    const from = held.mount === undefined ? bytePath(merged) : ("." as BytePath);
    const descriptor = openAt(held.mount ?? currentDirectory, from, openFlag.path | openFlag.directory);
    return { descriptor, [Symbol.dispose]: () => stack.dispose() };
  }

  /** The same root as a path that leads there for as long as it is not disposed. */
  look(paths: OverlayPaths): Disposable & { readonly path: string } {
    const held = this.hold(paths);
    const stack = new DisposableStack();
    stack.use(held);
    stack.defer(() => closeDescriptor(held.descriptor));
    return { path: descriptorPath(held.descriptor), [Symbol.dispose]: () => stack.dispose() };
  }

  #release(merged: string, held: Held): void {
    if (--held.holders > 0) return;
    this.#held.delete(merged);
    if (held.mount !== undefined) closeDescriptor(held.mount);
  }
}

function mountAtPlace({ merged, ...paths }: OverlayPaths, brief: boolean): void {
  const plain = { ...paths, target: merged, options: overlayOptions };
  try {
    mountOverlay(brief ? { ...plain, options: [...overlayOptions, volatile] } : plain);
  } catch (error) {
    // A kernel that does not know the word, unless something else is wrong: then it is again.
    if (!brief || !(error instanceof Errno) || error.code !== "EINVAL") throw error;
    mountOverlay(plain);
  }
}

/**
 * What several layers show together, at a path that leads there for as long as this is not disposed. `place` is a
 * directory that older kernels need for a moment.
 */
export function openLayers(lower: readonly string[], place: string): Disposable & { readonly path: string } {
  const fd = openOverlay({ lower, target: place });
  const stack = new DisposableStack();
  stack.defer(() => closeDescriptor(fd));
  return { path: descriptorPath(fd), [Symbol.dispose]: () => stack.dispose() };
}
