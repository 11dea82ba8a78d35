/** Pure. Reading a stream before anybody asks for it. */

/**
 * Begins to read at once and goes on until `bytesMax` wait to be taken; then as fast as they are. Read it, or dispose it:
 * either closes the source.
 */
export class ReadAhead implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #bytesMax: number;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #failure: { readonly thrown: unknown } | undefined;
  #came = Promise.withResolvers<void>();
  #taken = Promise.withResolvers<void>();
  readonly #reading: Promise<void>;

  constructor(source: AsyncIterable<Uint8Array>, bytesMax: number) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#bytesMax = bytesMax;
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    try {
      while (!this.#ended) {
        const next = await this.#iterator.next();
        if (next.done === true) break;
        this.#waiting.push(next.value);
        this.#bytes += next.value.length;
        this.#came.resolve();
        while (this.#bytes >= this.#bytesMax && !this.#ended) {
          this.#taken = Promise.withResolvers();
          await this.#taken.promise;
        }
      }
    } catch (thrown) {
      this.#failure = { thrown };
    } finally {
      this.#ended = true;
      this.#came.resolve();
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const part = this.#waiting.shift();
        if (part !== undefined) {
          this.#bytes -= part.length;
          this.#taken.resolve();
          yield part;
        } else if (this.#ended) {
          if (this.#failure !== undefined) throw this.#failure.thrown;
          return;
        } else {
          this.#came = Promise.withResolvers();
          await this.#came.promise;
        }
      }
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#taken.resolve();
    await this.#reading;
    await this.#iterator.return?.();
    this.#waiting.length = 0;
  }
}
