/**
 * `POST /build` of version 2: a build asked for in one request, as Docker's CLI before 23.0 and some SDKs do; its files come in
 * the request's body, in another request's, or over a session.
 * Owns: bodies on their way from one request to another. Source: moby builder/builder-next/builder.go.
 */
import { randomBytes } from "node:crypto";
import { control, type SolveRequest } from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";
import { AwaitedMap } from "./awaited-map.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { solveRequest } from "./control-service.ts";
import { ResultShelf } from "./result-shelf.ts";

/** How long a build waits for the request that brings its files, and that one for the build. */
const uploadWaitMs = 5000;

export interface PostedOrder {
  /** The frontend's attributes, without `context`. */
  readonly options: Readonly<Record<string, string>>;
  /** Empty for none: then the client cannot be asked for anything. */
  readonly session: string;
  readonly exporters: readonly { readonly Type: string; readonly Attrs: Readonly<Record<string, string>> }[];
  readonly entitlements: readonly string[];
  readonly inlineCache: boolean;
  /** An address; `client-session`, `upload-request`, or empty for the request's own body. */
  readonly remote: string;
  readonly body: AsyncIterable<Uint8Array>;
  /** By it the build can be called off, and finds what another request brings. */
  readonly buildId: string;
  readonly signal: AbortSignal;
}

export type PostedNews =
  /** A `StatusResponse`, encoded. */
  { readonly trace: Uint8Array } | { readonly image: string };

interface Upload {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly taken: () => void;
}

export class PostedBuilds {
  readonly #parts: BuildkitParts;
  readonly #uploads = new AwaitedMap<Upload>();
  readonly #running = new Map<string, AbortController>();

  constructor(parts: BuildkitParts) {
    this.#parts = parts;
  }

  /** Idempotent. */
  cancel(buildId: string): void {
    this.#running.get(buildId)?.abort(new Fault("cancelled", "context canceled"));
  }

  /** Hands a body to the build that waits for it; resolves when that has read it. @throws Fault `not-found`. */
  async upload(buildId: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const claimed = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => claimed.reject(new Fault("not-found", `no build ${buildId} waits for files`)),
      uploadWaitMs,
    );
    const stop = (): void => claimed.reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    this.#uploads.set(buildId, { bytes: ending(bytes, resolve), taken: claimed.resolve });
    try {
      await claimed.promise;
      await Promise.race([over, gone(signal)]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#uploads.delete(buildId);
    }
  }

  /** @throws Fault, GrpcError. Leaving the iteration calls the build off. */
  async *run(order: PostedOrder): AsyncGenerator<PostedNews, void, undefined> {
    const stop = new AbortController();
    const signal = AbortSignal.any([order.signal, stop.signal]);
    const { buildId } = order;
    if (buildId !== "") this.#running.set(buildId, stop);
    using shelf = new ResultShelf();
    const { request, body } = await this.#request(order, signal);
    const answering = solveRequest(this.#parts, shelf, request, { signal, body });
    answering.catch(() => undefined);
    try {
      const job = await Promise.race([
        this.#parts.jobs.find(request.Ref, signal),
        answering.then(() => undefined),
      ]);
      for await (const message of job?.feed.watch(signal) ?? [])
        yield { trace: control.status.response.encode(message) };
      const image = (await answering)["containerimage.digest"];
      if (image !== undefined) yield { image };
    } finally {
      stop.abort(new Fault("cancelled", "context canceled"));
      await answering.catch(() => undefined);
      if (this.#running.get(buildId) === stop) this.#running.delete(buildId);
    }
  }

  async #request(order: PostedOrder, signal: AbortSignal) {
    const { remote, buildId, inlineCache } = order;
    const body =
      remote === ""
        ? order.body
        : remote === "upload-request"
          ? await this.#take(buildId, signal)
          : undefined;
    const address = `http://buildkit-session/${randomBytes(12).toString("hex")}`;
    const context = body !== undefined ? address : remote === "client-session" ? undefined : remote;
    const request: SolveRequest = {
      Ref: randomBytes(16).toString("hex"),
      Definition: undefined,
      ExporterDeprecated: "",
      ExporterAttrsDeprecated: {},
      Session: order.session,
      Frontend: "dockerfile.v0",
      FrontendAttrs: { ...order.options, ...(context !== undefined && { context }) },
      Cache: {
        ExportRefDeprecated: "",
        ImportRefsDeprecated: [],
        Exports: inlineCache ? [{ Type: "inline", Attrs: {} }] : [],
        Imports: [],
      },
      Entitlements: [...order.entitlements],
      FrontendInputs: {},
      Internal: false,
      Exporters: order.exporters.map(({ Type, Attrs }) => ({ Type, Attrs: { ...Attrs } })),
      EnableSessionExporter: false,
    };
    return { request, body: body === undefined ? undefined : { address, bytes: body } };
  }

  async #take(buildId: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const upload = await this.#uploads.find(buildId, uploadWaitMs, signal);
    if (upload === undefined) throw new Fault("invalid", `the files of build ${buildId} did not come`);
    upload.taken();
    return upload.bytes;
  }
}

async function* ending(bytes: AsyncIterable<Uint8Array>, over: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } finally {
    over();
  }
}

function gone(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  return promise;
}
