/**
 * Questions on one TCP connection: each behind its length in two bytes (RFC 1035, section 4.2.2), answered in their order.
 * Promises: bounded memory, whoever asks faster than is answered or reads slower is let go.
 */

/** What is waiting in either direction. */
const waitingBytesMax = 256 << 10;

export class TcpQuestions {
  readonly #ask: (query: Buffer) => Promise<Buffer | undefined>;
  readonly #write: (bytes: Buffer) => number;
  readonly #end: () => void;
  #seen: Buffer = Buffer.alloc(0);
  #unsent: Buffer = Buffer.alloc(0);
  #busy = false;

  /** `write` says how many bytes it took. */
  constructor(
    ask: (query: Buffer) => Promise<Buffer | undefined>,
    write: (bytes: Buffer) => number,
    end: () => void,
  ) {
    this.#ask = ask;
    this.#write = write;
    this.#end = end;
  }

  take(bytes: Uint8Array): void {
    this.#seen = Buffer.concat([this.#seen, bytes]);
    if (this.#seen.length > waitingBytesMax) this.#end();
    else if (!this.#busy) void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    this.#busy = true;
    for (let query = this.#next(); query !== undefined; query = this.#next()) {
      const reply = await this.#ask(query);
      if (reply !== undefined) this.#send(reply);
    }
    this.#busy = false;
  }

  #next(): Buffer | undefined {
    if (this.#seen.length < 2) return undefined;
    const end = 2 + this.#seen.readUInt16BE(0);
    if (this.#seen.length < end) return undefined;
    const query = Buffer.from(this.#seen.subarray(2, end));
    this.#seen = this.#seen.subarray(end);
    return query;
  }

  #send(reply: Buffer): void {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(reply.length, 0);
    this.#unsent = Buffer.concat([this.#unsent, length, reply]);
    if (this.#unsent.length > waitingBytesMax) this.#end();
    else this.drain();
  }

  /** The connection takes more. */
  drain(): void {
    if (this.#unsent.length === 0) return;
    const taken = Math.max(0, this.#write(this.#unsent));
    this.#unsent = this.#unsent.subarray(taken);
  }
}
