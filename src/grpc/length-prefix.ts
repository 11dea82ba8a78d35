/**
 * Pure. gRPC's framing of messages in a stream of bytes: a flag, four bytes of length, the message.
 * Source: github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
 */
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";

/** Of one message. BuildKit's clients take as much from a server. */
export const messageBytesMax = 16 << 20;
const prefixBytes = 5;

/** A message with its prefix. */
export function prefixed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixBytes);
  return frame;
}

/** Cuts a stream into messages. */
export class MessageCutter {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  /** True when a message has begun and is not whole. */
  get begun(): boolean {
    return this.#bytes > 0;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next whole message, if there is one. @throws GrpcError for one too large, or compressed. */
  next(): Uint8Array | undefined {
    if (this.#bytes < prefixBytes) return undefined;
    const head = this.#peek();
    if (head[0] !== 0) throw new GrpcError(grpcCode.unimplemented, "compressed messages are not supported");
    const length = new DataView(head.buffer, head.byteOffset).getUint32(1);
    if (length > messageBytesMax)
      throw new GrpcError(
        grpcCode.resourceExhausted,
        `a message of ${length} bytes is larger than ${messageBytesMax} bytes`,
      );
    if (this.#bytes < prefixBytes + length) return undefined;
    this.#take(prefixBytes);
    return this.#take(length);
  }

  #peek(): Uint8Array {
    const first = this.#parts[0];
    if (first !== undefined && first.length >= prefixBytes) return first;
    const joined = Buffer.concat(this.#parts);
    this.#parts.splice(0, this.#parts.length, joined);
    return joined;
  }

  #take(length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    this.#bytes -= length;
    const taken: Uint8Array[] = [];
    let missing = length;
    while (missing > 0) {
      const part = this.#parts[0];
      if (part === undefined) break;
      if (part.length <= missing) {
        taken.push(part);
        missing -= part.length;
        this.#parts.shift();
      } else {
        taken.push(part.subarray(0, missing));
        this.#parts[0] = part.subarray(missing);
        missing = 0;
      }
    }
    const [only] = taken;
    return taken.length === 1 && only !== undefined ? only : Buffer.concat(taken);
  }
}
