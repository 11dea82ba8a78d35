/**
 * Sessions: what BuildKit clients let the engine ask them while their builds run.
 * Owns: which are open, by id, and the channel of each. Promises: whoever looks for one waits a bounded time for it to
 * come; a session that is gone ends what was asked of it. Never: knows what is asked.
 */
import type { Duplex } from "node:stream";
import { GrpcChannel } from "#grpc/grpc-channel.ts";
import { Fault } from "#spec/fault.ts";
import { AwaitedMap } from "./awaited-map.ts";
import { SharedLocals } from "./shared-locals.ts";

/** A build often asks before its session's connection is there. */
export const sessionWaitMs = 5000;
/** Open at once. */
export const sessionsMax = 1024;

export interface SessionHead {
  readonly id: string;
  /** Equal for contexts of one directory on one machine; may be empty. */
  readonly sharedKey: string;
  /** Paths of the methods the client answers. */
  readonly methods: readonly string[];
}

export class ClientSession {
  readonly sharedKey: string;
  readonly channel: GrpcChannel;
  /** Files brought over this session that builds share while they run. */
  readonly locals = new SharedLocals();
  readonly #methods: ReadonlySet<string>;

  constructor(head: SessionHead, channel: GrpcChannel) {
    this.sharedKey = head.sharedKey;
    this.channel = channel;
    this.#methods = new Set(head.methods.map((each) => each.toLowerCase()));
  }

  answers(method: { readonly path: string }): boolean {
    return this.#methods.has(method.path.toLowerCase());
  }
}

export class ClientSessions {
  readonly #open = new AwaitedMap<ClientSession>();

  /** @throws Fault `invalid` for an id that cannot be, `conflict` for one that is open, `unavailable` for too many. */
  check({ id }: SessionHead): void {
    if (!/^[A-Za-z0-9_.-]{1,128}$/.test(id)) throw new Fault("invalid", "a session needs an id");
    if (this.#open.has(id)) throw new Fault("invalid", `session ${id} already exists`);
    if (this.#open.size >= sessionsMax)
      throw new Fault("unavailable", `${sessionsMax} sessions are open: try again when builds have ended`);
  }

  /** Keeps a session until its connection is gone or the signal fires. @throws Fault see `check`. */
  async serve(head: SessionHead, connection: Duplex, signal: AbortSignal): Promise<void> {
    this.check(head);
    using channel = new GrpcChannel(connection);
    this.#open.set(head.id, new ClientSession(head, channel));
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const ends = AbortSignal.any([channel.closed, signal]);
    ends.addEventListener("abort", () => resolve(), { once: true });
    if (ends.aborted) resolve();
    await over;
    this.#open.delete(head.id);
    connection.destroy();
  }

  /** Waits `sessionWaitMs` for one that is on its way. @throws Fault `unavailable`, or the signal's reason. */
  async find(id: string, signal: AbortSignal): Promise<ClientSession> {
    const come = await this.#open.find(id, sessionWaitMs, signal);
    if (come === undefined)
      throw new Fault("unavailable", `no active session for ${id}: context deadline exceeded`);
    return come;
  }
}
