/** The two directions of a call on one HTTP/2 stream, as messages with the peer's pace. */
import type { Http2Stream } from "node:http2";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import { MessageCutter, prefixed } from "./length-prefix.ts";

/** Messages as they come; ends when the peer closes its half. @throws GrpcError for a broken stream. */
export async function* incoming(stream: Http2Stream): AsyncGenerator<Uint8Array, void, undefined> {
  const cutter = new MessageCutter();
  // A reader that has enough must not end the other direction with it.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    cutter.push(chunk);
    for (let next = cutter.next(); next !== undefined; next = cutter.next()) yield next;
  }
  if (cutter.begun) throw new GrpcError(grpcCode.internal, "a message broke off");
}

/** Sends a message; a promise means the peer is slow: await it before the next. */
export function send(stream: Http2Stream, message: Uint8Array): Promise<void> | undefined {
  if (stream.destroyed || stream.closed || stream.writableEnded)
    throw new GrpcError(grpcCode.cancelled, "the other side ended the call");
  if (stream.write(prefixed(message))) return undefined;
  return drained(stream);
}

/** Resolves when a stream takes bytes again or is closed. */
function drained(stream: Http2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
