/** Blobs in a store of the client's: an image layout that a build comes out as, a cache in a directory. */
import type { LentBlobs } from "#build/build-client.ts";
import type { GrpcChannel } from "#grpc/grpc-channel.ts";
import { content, contentStoreHeader, writeAction } from "#spec/content-service.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import type { Descriptor } from "#spec/image.ts";
import type { ClientSession } from "./client-sessions.ts";
import { sentBytesMax } from "./export-step.ts";

export class ClientContent implements LentBlobs {
  readonly #channel: GrpcChannel;
  readonly #metadata: Readonly<Record<string, string[]>>;

  /** @throws Fault `invalid` when the client lends no stores. */
  constructor(session: ClientSession, store: string) {
    if (!session.answers(content.write) && !session.answers(content.read))
      throw new Fault("invalid", `the client lends no store of blobs: it named no directory for ${store}`);
    this.#channel = session.channel;
    this.#metadata = { [contentStoreHeader]: [store] };
  }

  /** Bytes of a blob; undefined when it is not there. */
  async sizeOf(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    try {
      const { info } = await this.#channel.ask(content.info, { digest }, this.#o(signal));
      return info?.size;
    } catch (thrown) {
      if (thrown instanceof GrpcError && thrown.code === grpcCode.notFound) return undefined;
      throw thrown;
    }
  }

  /** Not checked against its digest: who reads it does. @throws GrpcError `not-found`. */
  async *read(digest: Digest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    using call = this.#channel.open(content.read, this.#o(signal));
    await call.send({ digest });
    call.end();
    for await (const { data } of call.responses) yield data;
  }

  /** One that is there is not sent again. `told` gets the bytes sent. */
  async write(
    blob: { readonly descriptor: Descriptor; read(signal: AbortSignal): AsyncIterable<Uint8Array> },
    signal: AbortSignal,
    told: (bytes: number) => void = () => undefined,
  ): Promise<void> {
    const { digest, size } = blob.descriptor;
    using call = this.#channel.open(content.write, this.#o(signal));
    const answers = call.responses[Symbol.asyncIterator]();
    const about = { ref: digest, total: size, expected: digest };
    const say = async (message: Parameters<typeof call.send>[0]): Promise<number> => {
      await call.send({ ...about, ...message });
      const { value, done } = await answers.next();
      if (done === true) throw new Fault("invalid", `the client's store took no more of ${digest}`);
      return value.offset;
    };
    try {
      // What an earlier attempt left there is written over.
      await say({ action: writeAction.stat });
      let offset = 0;
      for await (const bytes of blob.read(signal))
        for (let at = 0; at < bytes.length; at += sentBytesMax) {
          const data = bytes.subarray(at, at + sentBytesMax);
          await say({ action: writeAction.write, offset, data });
          offset += data.length;
          told(offset);
        }
      await say({ action: writeAction.commit, offset });
      call.end();
    } catch (thrown) {
      if (!(thrown instanceof GrpcError) || thrown.code !== grpcCode.alreadyExists) throw thrown;
    }
  }

  #o(signal: AbortSignal) {
    return { metadata: this.#metadata, signal };
  }
}
