/** The files of an archive one after the other, each as a stream, for who takes them in the order they come. */
import type { BytePath } from "#kernel/files/byte-path.ts";
import { Breath } from "#store/breath.ts";
import type { TarEntry } from "./tar-entry.ts";
import { TarReader } from "./tar-reader.ts";

export interface ArchivedFile {
  readonly kind: TarEntry["kind"];
  /** As written in the archive. */
  readonly name: BytePath;
  readonly linkName: BytePath;
  readonly sizeBytes: number;
  /** Read it, or leave it and ask for the next file. Parts are lent until the next one. */
  readonly body: AsyncIterable<Uint8Array>;
}

type Happening = { readonly entry: TarEntry } | { readonly content: Buffer } | { readonly end: true };

/** Closes `source` however reading ends. @throws Fault `invalid` for a damaged or cut-off archive. */
export async function* tarEntries(
  source: AsyncIterable<Uint8Array>,
  o: { readonly signal: AbortSignal },
): AsyncGenerator<ArchivedFile> {
  const happened: Happening[] = [];
  const reader = new TarReader({
    entry: (entry) => {
      happened.push({ entry });
      return entry.kind === "file";
    },
    content: (content) => void happened.push({ content }),
    endEntry: () => void happened.push({ end: true }),
  });
  const breath = new Breath(o.signal);
  const iterator = source[Symbol.asyncIterator]();
  /** False at the end of the archive. */
  const more = async (): Promise<boolean> => {
    o.signal.throwIfAborted();
    if (breath.due) await breath.take();
    const next = await iterator.next();
    if (next.done === true) return false;
    reader.push(next.value);
    return true;
  };
  const next = async (): Promise<Happening | undefined> => {
    while (happened.length === 0) if (!(await more())) return undefined;
    return happened.shift();
  };
  async function* content(): AsyncGenerator<Uint8Array> {
    for (let each = await next(); each !== undefined && !("end" in each); each = await next())
      if ("content" in each) yield each.content;
  }
  try {
    for (let each = await next(); each !== undefined; each = await next()) {
      if (!("entry" in each)) continue;
      const { kind, name, linkName, sizeBytes } = each.entry;
      const body = content();
      yield { kind, name, linkName, sizeBytes, body };
      for await (const _ of body);
    }
    reader.finish({ endRequired: false });
  } finally {
    await iterator.return?.();
  }
}
