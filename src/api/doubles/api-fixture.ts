/** For tests only: the whole API on a socket of its own, over the engine double. */
import { join } from "node:path";
import { serveApi } from "#api/server.ts";
import type { ClassicRequest } from "#build/builder.ts";
import type { BuildMessage } from "#build/request/messages.ts";
import type { BuildOutcome } from "#build/solver/misses.ts";
import type { CacheRecord } from "#buildkit/buildkit-parts.ts";
import type { PostedNews, PostedOrder } from "#buildkit/posted-build.ts";
import type { PruneOrder } from "#buildkit/usage.ts";
import { EngineDouble } from "./engine-double.ts";
import { temporaryDirectory } from "./test-client.ts";

interface Answer {
  status: number;
  headers: Headers;
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of any shape
  json: any;
}

export class ApiFixture implements AsyncDisposable {
  readonly engine = new EngineDouble();
  readonly logged: string[] = [];
  /** What the builder double does. */
  build: (request: ClassicRequest) => AsyncIterable<BuildMessage> = async function* () {};
  /** What comes of a build of version 2. */
  post2: (order: PostedOrder) => AsyncGenerator<PostedNews, void, undefined> = async function* () {};
  outcomes: BuildOutcome[] = [];
  readonly cancelled: string[] = [];
  /** What the builder double left on disk, and how it was asked to remove it. */
  buildCache: CacheRecord[] = [];
  readonly pruned: PruneOrder[] = [];
  readonly socket: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(directory: string, stack: AsyncDisposableStack) {
    this.socket = join(directory, "api.sock");
    this.#stack = stack;
  }

  static async open(): Promise<ApiFixture> {
    const stack = new AsyncDisposableStack();
    const directory = stack.use(await temporaryDirectory());
    const fixture = new ApiFixture(directory.path, stack);
    stack.use(
      await serveApi({
        engine: fixture.engine,
        registry: { mirrors: [], insecure: [], proxy: {} },
        builder: { classic: (request) => fixture.build(request), outcomes: () => fixture.outcomes },
        buildkit: {
          posted: {
            run: (order) => fixture.post2(order),
            upload: async () => undefined,
            cancel: (id) => void fixture.cancelled.push(id),
          },
          serve: async () => undefined,
          checkSession: () => undefined,
          serveSession: async () => undefined,
          usage: () => fixture.buildCache,
          prune: async function* (order) {
            fixture.pruned.push(order);
            yield* fixture.buildCache;
          },
        },
        hosts: [`unix://${fixture.socket}`],
        version: "0.1.0",
        gitCommit: "abc",
        buildTime: "2026-11-24T00:00:00Z",
        log: (line) => fixture.logged.push(line),
      }),
    );
    return fixture;
  }

  /** Everything the doubles know, forgotten. */
  reset(): void {
    this.engine.reset();
    this.logged.length = 0;
    this.pruned.length = 0;
    this.buildCache = [];
  }

  /** One request; a body that is no text goes as JSON. */
  async ask(
    method: string,
    target: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer> {
    const response = await fetch(`http://engine${target}`, {
      unix: this.socket,
      method,
      redirect: "manual",
      headers: {
        ...(body !== undefined && typeof body !== "string" && { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text, json: parsed(text) };
  }

  get(target: string): Promise<Answer> {
    return this.ask("GET", target);
  }

  post(target: string, body?: unknown): Promise<Answer> {
    return this.ask("POST", target, body);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `?filters=…` */
export function filterQuery(value: object): string {
  return `?filters=${encodeURIComponent(JSON.stringify(value))}`;
}
