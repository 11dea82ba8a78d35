/** Builds that were made: what the engine remembers of them. */
import type { GrpcChannel } from "#grpc/grpc-channel.ts";
import {
  control,
  type HistoryEventRead,
  type HistoryRead,
  historyEvent,
  type StatusRead,
} from "#spec/buildkit-control.ts";
import { content } from "#spec/content-service.ts";

/** One connection to ask on; dispose to close it. */
export class BuildHistoryClient implements Disposable {
  readonly #channel: GrpcChannel;
  readonly #signal: AbortSignal;

  constructor(channel: GrpcChannel, signal: AbortSignal) {
    this.#channel = channel;
    this.#signal = signal;
  }

  /** Those that run first, then the newest. @throws GrpcError for filters that are none. */
  async list(
    o: { readonly ref?: string; readonly filters?: readonly string[]; readonly limit?: number } = {},
  ): Promise<HistoryRead[]> {
    const { ref = "", filters = [], limit = 0 } = o;
    using call = this.#channel.open(control.listenBuildHistory, { signal: this.#signal });
    await call.send({ EarlyExit: true, Ref: ref, Filter: filters, Limit: limit });
    call.end();
    const events: HistoryEventRead[] = await Array.fromAsync(call.responses);
    return events.flatMap(({ type, record }) =>
      type === historyEvent.deleted || record === undefined ? [] : [record],
    );
  }

  /** What a build told, or tells. */
  async *told(ref: string): AsyncGenerator<StatusRead, void, undefined> {
    using call = this.#channel.open(control.status, { signal: this.#signal });
    await call.send({ Ref: ref });
    call.end();
    yield* call.responses;
  }

  /** @throws GrpcError `not-found`. */
  async remove(ref: string): Promise<void> {
    await this.#channel.ask(control.updateBuildHistory, { Ref: ref, Delete: true }, { signal: this.#signal });
  }

  /** Of a document that a record names. @throws GrpcError `not-found`. */
  async read(digest: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    using call = this.#channel.open(content.read, { signal: this.#signal });
    await call.send({ digest });
    call.end();
    for await (const { data } of call.responses) parts.push(data);
    return Buffer.concat(parts);
  }

  /** False for one whose record says that it was made, but which is not kept. */
  async has(digest: string): Promise<boolean> {
    return await this.#channel.ask(content.info, { digest }, { signal: this.#signal }).then(
      () => true,
      () => false,
    );
  }

  /** Of the machine, as `linux/amd64`. */
  async ownPlatform(): Promise<string> {
    const { record } = await this.#channel.ask(control.listWorkers, {}, { signal: this.#signal });
    const { OS = "", Architecture = "", Variant = "" } = record[0]?.platforms[0] ?? {};
    return [OS, Architecture, Variant].filter((part) => part !== "").join("/");
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }
}
