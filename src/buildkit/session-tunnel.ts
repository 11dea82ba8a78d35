/**
 * A session within a call (`Control.Session`): the client's HTTP/2 bytes as messages both ways. `bake` and compose share
 * one session between builds this way.
 */
import { Duplex } from "node:stream";
import type { ServerCall } from "#grpc/grpc-server.ts";
import { first } from "#grpc/metadata.ts";
import { BytesMessage } from "#spec/buildkit-llb.ts";
import { exposeHeader } from "#spec/buildkit-session.ts";
import type { ClientSessions } from "./client-sessions.ts";

/** Of one message to the client. */
const sentBytesMax = 1 << 20;

/** Ends when the client closes its half. @throws Fault for a session that cannot be. */
export async function serveTunnel(sessions: ClientSessions, call: ServerCall): Promise<void> {
  const methods = (call.metadata[exposeHeader.method] ?? []).flatMap((each) => each.split(/,\s*/));
  const head = {
    id: first(call.metadata, exposeHeader.id) ?? "",
    sharedKey: first(call.metadata, exposeHeader.sharedKey) ?? "",
    methods,
  };
  await sessions.serve(head, new CallStream(call), call.signal);
}

class CallStream extends Duplex {
  readonly #call: ServerCall;
  #reading = false;
  /** Set while the reader has enough. */
  #resume: (() => void) | undefined;

  constructor(call: ServerCall) {
    super({ allowHalfOpen: false, autoDestroy: true });
    this.#call = call;
    call.signal.addEventListener("abort", () => this.destroy(), { once: true });
  }

  override _read(): void {
    this.#resume?.();
    this.#resume = undefined;
    if (this.#reading) return;
    this.#reading = true;
    this.#pump().catch((error: unknown) => this.destroy(error instanceof Error ? error : undefined));
  }

  /** The whole input, at the reader's pace. */
  async #pump(): Promise<void> {
    for await (const message of this.#call.requests) {
      const { data } = BytesMessage.decode(message);
      if (data.length > 0 && !this.push(data)) await this.#wanted();
    }
    this.push(null);
    this.destroy();
  }

  #wanted(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resume = resolve;
    return promise;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send(chunk).then(
      () => done(),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  }

  async #send(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; at += sentBytesMax)
      await this.#call.send(BytesMessage.encode({ data: chunk.subarray(at, at + sentBytesMax) }));
  }

  override _final(done: () => void): void {
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#resume?.();
    done(error);
  }
}
