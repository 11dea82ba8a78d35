/**
 * How containers' processes ended, as conmon leaves it: one file per container, written once, also when no engine lives.
 * Owns: the watch on their directory. Never: a file's removal but through `forget`.
 */
import { existsSync, type FSWatcher, rmSync, watch } from "node:fs";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { formatRfc3339, nanoOfFineMillis } from "#spec/unix-time.ts";

/** Bun's watcher swallows changes right behind the one it told of: a look around this much later finds those. */
const settleMs = 4;
/** How often it is checked that who is to write still lives. */
const aliveCheckMs = 5000;

export interface ExitRecord {
  readonly exitCode: number;
  /** RFC 3339. */
  readonly finishedAt: string;
}

interface Waiter {
  readonly alive: () => boolean;
  readonly wake: () => void;
}

export interface NextSign extends Disposable {
  readonly heard: Promise<void>;
}

export class ExitFiles implements Disposable {
  readonly directory: string;
  readonly #watcher: FSWatcher;
  readonly #waiting = new Map<string, Set<Waiter>>();
  #settling: Timer | undefined;
  #checking: Timer | undefined;

  private constructor(directory: string) {
    this.directory = directory;
    this.#watcher = watch(directory, (_, name) => this.#look(name));
  }

  static async open(directory: string): Promise<ExitFiles> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new ExitFiles(directory);
  }

  /** Undefined while there is none. @throws Fault `internal` for a file conmon never writes. */
  async read(id: string): Promise<ExitRecord | undefined> {
    const path = join(this.directory, id);
    try {
      const [text, { mtimeMs }] = await Promise.all([
        readFile(path, "latin1"),
        stat(path, { bigint: false }),
      ]);
      const exitCode = Number(text);
      if (text === "" || !Number.isInteger(exitCode))
        throw new Fault("internal", `${path} is damaged: ${JSON.stringify(text)}`);
      return { exitCode, finishedAt: formatRfc3339(nanoOfFineMillis(mtimeMs)) };
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  /**
   * Waits for the next sign that the file may be there; also for `alive` to say that who writes it lives no more, and for
   * the signal. From the call on: look for the file behind it. Dispose to wait no longer.
   */
  next(id: string, o: { readonly alive: () => boolean; readonly signal: AbortSignal }): NextSign {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = { alive: o.alive, wake: resolve };
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(waiter));
    o.signal.addEventListener("abort", waiter.wake);
    if (o.signal.aborted) resolve();
    this.#checking ??= setInterval(() => this.#check(), aliveCheckMs);
    return {
      heard: promise,
      [Symbol.dispose]: () => {
        o.signal.removeEventListener("abort", waiter.wake);
        waiting.delete(waiter);
        if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
        if (this.#waiting.size === 0) this.#stopChecking();
      },
    };
  }

  /** One clock for all: hundreds wait here, and a timer each cost the engine a hundredth of a core. */
  #check(): void {
    for (const waiting of this.#waiting.values()) for (const { alive, wake } of waiting) if (!alive()) wake();
  }

  #stopChecking(): void {
    clearInterval(this.#checking);
    this.#checking = undefined;
  }

  #look(name: string | null): void {
    // Written under another name first, and renamed.
    if (name === null) this.#wake([...this.#waiting.keys()]);
    else if (/^[0-9a-f]{64}$/.test(name)) this.#wake([name]);
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.#wake([...this.#waiting.keys()].filter((id) => existsSync(join(this.directory, id))));
    }, settleMs);
  }

  #wake(ids: readonly string[]): void {
    for (const id of ids) for (const { wake } of this.#waiting.get(id) ?? []) wake();
  }

  /** Idempotent. */
  forget(id: string): void {
    rmSync(join(this.directory, id), { force: true });
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    clearTimeout(this.#settling);
    this.#stopChecking();
    this.#wake([...this.#waiting.keys()]);
  }
}
