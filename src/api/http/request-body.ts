import { ChunkDecoder } from "#spec/chunk-decoder.ts";
import { Fault } from "#spec/fault.ts";
import { giveBack } from "#spec/give-back.ts";
import type { Inbox } from "./inbox.ts";
import { type BodyFraming, MalformedRequest } from "./request-head.ts";

/** What is read and thrown away of a body its handler left, so that the connection can be used again. */
export const drainBytesMax = 256 * 1024;

/**
 * The body of one request, delimited by its framing, read as it arrives: while nobody reads, the client waits.
 * Iterate it once; parts are lent until the next one is asked for. The bytes after it stay in the inbox.
 */
export class RequestBody implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncGenerator<Uint8Array, void, undefined>;
  readonly #beforeFirstRead: (() => void) | undefined;
  #begun = false;
  #finished: boolean;
  /** Bytes to come; undefined when only the end will tell. */
  readonly sizeBytes: number | undefined;

  /** `beforeFirstRead` says "100 Continue" to a client that waits for it. */
  constructor(inbox: Inbox, framing: BodyFraming, beforeFirstRead?: () => void) {
    this.#source = framing.kind === "chunked" ? chunked(inbox) : sized(inbox, framing);
    this.sizeBytes = framing.kind === "chunked" ? undefined : framing.kind === "sized" ? framing.bytes : 0;
    this.#finished = framing.kind === "none";
    this.#beforeFirstRead = beforeFirstRead;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = await this.#next();
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  /**
   * The whole body.
   * @throws MalformedRequest 413 when it is larger than `bytesMax`; Fault `invalid` when it ends early or is badly chunked.
   */
  async bytes(bytesMax: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let total = 0;
    if (this.sizeBytes !== undefined && this.sizeBytes > bytesMax) throw tooLarge(bytesMax);
    for await (const chunk of this) {
      total += chunk.length;
      if (total > bytesMax) throw tooLarge(bytesMax);
      chunks.push(Buffer.from(chunk));
    }
    return Buffer.concat(chunks);
  }

  /** Reads what is left, up to `drainBytesMax`. True when the next request can be read after it. */
  async drain(): Promise<boolean> {
    if (this.#finished) return true;
    if (!this.#begun && this.#beforeFirstRead !== undefined) return false;
    let left = drainBytesMax;
    try {
      while (left > 0) {
        const chunk = await this.#next();
        if (chunk === undefined) return this.#finished;
        left -= chunk.length;
      }
    } catch {
      return false;
    }
    return false;
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#finished) return undefined;
    if (!this.#begun) {
      this.#begun = true;
      this.#beforeFirstRead?.();
    }
    const result = await this.#source.next();
    if (result.done === true) {
      this.#finished = true;
      return undefined;
    }
    return result.value;
  }
}

function tooLarge(bytesMax: number): MalformedRequest {
  return new MalformedRequest(413, `the request body is larger than ${bytesMax} bytes; send a smaller one`);
}

async function* sized(inbox: Inbox, framing: BodyFraming): AsyncGenerator<Uint8Array, void, undefined> {
  if (framing.kind === "sized") yield* take(inbox, framing.bytes);
}

async function* chunked(inbox: Inbox): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = new ChunkDecoder();
  while (!decoder.ended) {
    const bytes = await inbox.read();
    if (bytes === undefined) throw new Fault("invalid", "unexpected EOF in the request body");
    const data: Uint8Array[] = [];
    const rest = bytes.subarray(decoder.push(bytes, data));
    inbox.unread(rest);
    if (data.length > 0) yield pushedTogether(bytes, data);
    if (rest.length === 0) giveBack(bytes);
  }
}

async function* take(inbox: Inbox, bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  let left = bytes;
  while (left > 0) {
    const chunk = await inbox.read();
    if (chunk === undefined) throw new Fault("invalid", "unexpected EOF in the request body");
    const mine = chunk.length > left ? chunk.subarray(0, left) : chunk;
    if (chunk.length > left) inbox.unread(chunk.subarray(left));
    left -= mine.length;
    yield mine;
    if (mine === chunk) giveBack(chunk);
  }
}

/** What lies in pieces in `bytes`, in order, moved over what is between them: a turn for each piece would cost more. */
function pushedTogether(bytes: Uint8Array, pieces: readonly Uint8Array[]): Uint8Array {
  const start = (pieces[0]?.byteOffset ?? 0) - bytes.byteOffset;
  let end = start;
  for (const { byteOffset, length } of pieces) {
    const from = byteOffset - bytes.byteOffset;
    if (from !== end) bytes.copyWithin(end, from, from + length);
    end += length;
  }
  return bytes.subarray(start, end);
}
