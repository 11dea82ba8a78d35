/**
 * Network namespaces, a few of them ready-made: making one waits for the kernel, taking one does not.
 * Owns: the files in its directory. Never: what is in a namespace that was handed out.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { makeNamespace, removeNamespace } from "#kernel/network/netns.ts";

const readyMade = 3;
/** After one was taken: the start it was taken for has come to where it waits for other processes. */
const refillMs = 8;
const loopback = 1;

export class Namespaces implements Disposable {
  readonly #directory: string;
  readonly #ready: string[] = [];
  readonly #lent = new Set<string>();
  #refill: Timer | undefined;
  #disposed = false;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o711 });
  }

  /** A new namespace with its loopback up. The caller records the path before it uses it, and removes it. */
  take(): string {
    const path = this.#ready.pop() ?? this.#make();
    this.#refill ??= setTimeout(() => {
      this.#refill = undefined;
      this.fill();
    }, refillMs);
    return path;
  }

  /** As `take`, for as long as it is held: no record speaks of it, and an engine that dies meanwhile leaves it to the next. */
  lend(): Disposable & { readonly path: string } {
    const path = this.take();
    this.#lent.add(path);
    return {
      path,
      [Symbol.dispose]: () => {
        this.#lent.delete(path);
        removeNamespace(path);
      },
    };
  }

  /** Makes ready as many as there should be, one at a time. */
  fill(): void {
    if (this.#disposed || this.#ready.length >= readyMade) return;
    this.#ready.push(this.#make());
    setImmediate(() => this.fill());
  }

  #make(): string {
    const path = join(this.#directory, randomBytes(8).toString("hex"));
    makeNamespace(path, () => {
      using netlink = new Netlink();
      setUp(netlink, loopback);
      // Interfaces to come get no IPv6 address that nobody gave them.
      write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    });
    return path;
  }

  /** Idempotent. */
  remove(path: string): void {
    removeNamespace(path);
  }

  /** Removes all but those `kept`. */
  sweep(kept: ReadonlySet<string>): void {
    for (const path of this.strays(kept)) removeNamespace(path);
  }

  /** Neither `kept` nor ready-made nor lent. */
  strays(kept: ReadonlySet<string>): string[] {
    const own = new Set([...this.#ready, ...this.#lent]);
    return readdirSync(this.#directory)
      .map((name) => join(this.#directory, name))
      .filter((path) => !kept.has(path) && !own.has(path));
  }

  /** Throws away those that were made ready. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    clearTimeout(this.#refill);
    for (const path of this.#ready.splice(0)) removeNamespace(path);
  }
}

/** A kernel without the setting needs none. */
export function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
