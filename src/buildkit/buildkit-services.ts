/**
 * BuildKit's services on one connection: what `docker build`, buildx, bake and compose talk to.
 * Owns: which methods there are. Promises: results a client holds are given back when its connection is gone.
 * Never: knows HTTP; the api brings connections.
 */
import type { Duplex } from "node:stream";
import { type Services, serveGrpc, unary } from "#grpc/grpc-server.ts";
import { session } from "#spec/buildkit-session.ts";
import type { BuildkitParts, CacheRecord } from "./buildkit-parts.ts";
import type { SessionHead } from "./client-sessions.ts";
import { contentService } from "./content-service.ts";
import { controlService } from "./control-service.ts";
import { gatewayService } from "./gateway-service.ts";
import { PostedBuilds } from "./posted-build.ts";
import { ResultShelf } from "./result-shelf.ts";
import { cacheRecords, type PruneOrder, prune } from "./usage.ts";

const serving = 1;

export class Buildkit {
  readonly #parts: BuildkitParts;
  /** Builds asked for without gRPC. */
  readonly posted: PostedBuilds;

  constructor(parts: BuildkitParts) {
    this.#parts = parts;
    this.posted = new PostedBuilds(parts);
  }

  /** Answers calls until the connection or the signal ends. Never throws. */
  async serve(connection: Duplex, signal: AbortSignal): Promise<void> {
    using shelf = new ResultShelf();
    const parts = this.#parts;
    const services: Services = new Map([
      ...controlService(parts, shelf),
      ...gatewayService(parts, shelf),
      ...contentService(parts.history.documents),
      unary(session.health, () => ({ status: serving })),
    ]);
    const report = (thrown: unknown, path: string): void => {
      const words = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      parts.report(`${path}: ${words}`);
    };
    await serveGrpc(connection, services, { signal, report });
  }

  /** What builds leave on disk. */
  usage(): CacheRecord[] {
    return cacheRecords(this.#parts);
  }

  /** Removes of it what the order says; ends with what is done when the signal fires. */
  prune(order: PruneOrder, signal: AbortSignal): AsyncIterable<CacheRecord> {
    return prune(this.#parts, order, signal);
  }

  /** @throws Fault for a session that cannot be. */
  checkSession(head: SessionHead): void {
    this.#parts.sessions.check(head);
  }

  /** Asks the client that opened the connection, until it or the signal ends. */
  async serveSession(head: SessionHead, connection: Duplex, signal: AbortSignal): Promise<void> {
    await this.#parts.sessions.serve(head, connection, signal);
  }
}
