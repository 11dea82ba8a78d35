/** Files of a context that several builds of one session want at the same time: brought once, given back by the last. */
import type { LocalContext } from "#build/build-client.ts";

interface Entry {
  readonly bringing: Promise<LocalContext>;
  users: number;
}

export class SharedLocals {
  readonly #entries = new Map<string, Entry>();

  /** `key` says what is wanted. When bringing it fails, it fails for all who wait. */
  async use(key: string, bring: () => Promise<LocalContext>): Promise<LocalContext> {
    const entry = this.#entries.get(key) ?? { bringing: bring(), users: 0 };
    this.#entries.set(key, entry);
    entry.users++;
    let held = true;
    const giveBack = async (): Promise<void> => {
      if (!held) return;
      held = false;
      if (--entry.users > 0) return;
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      await entry.bringing.then(
        (local) => local[Symbol.asyncDispose](),
        () => undefined,
      );
    };
    try {
      const { directory, contentHash } = await entry.bringing;
      return { directory, contentHash, [Symbol.asyncDispose]: giveBack };
    } catch (thrown) {
      await giveBack();
      throw thrown;
    }
  }
}
