/**
 * A BuildKit client as the builder sees it: its files, secrets, agents and credentials, asked over its session.
 * Owns: how questions become calls. Promises: a file is sent again only when it changed since the last build.
 */
import type { BuildClient, LentBlobs, LocalContext, LocalFilter, SshAgent } from "#build/build-client.ts";
import { session, sessionHeader } from "#spec/buildkit-session.ts";
import { content } from "#spec/content-service.ts";
import type { Credentials } from "#spec/credentials.ts";
import { packetType } from "#spec/file-packets.ts";
import { faultOfCall, GrpcError, grpcCode } from "#spec/grpc-status.ts";
import { serveAgent } from "./agent-socket.ts";
import type { SentBody } from "./build-jobs.ts";
import { ClientContent } from "./client-content.ts";
import type { ClientSession, ClientSessions } from "./client-sessions.ts";
import type { Mirrors } from "./mirrors.ts";
import { receiveFiles } from "./receive-files.ts";

export interface SessionClientParts {
  readonly sessions: ClientSessions;
  readonly mirrors: Mirrors;
  /** For sockets; its path is short. */
  readonly socketDirectory: string;
}

/** Of one secret, as BuildKit has it. */
export const secretBytesMax = 500 * 1024;

/** Of one directory, to find the nearest among them. */
const namesMax = 10_000;

export class SessionClient implements BuildClient {
  readonly #parts: SessionClientParts;
  readonly #sessionId: string;
  readonly #options: Readonly<Record<string, string>>;
  readonly #body: SentBody | undefined;

  /** `options` are the frontend's attributes: they may name other sessions for some contexts. */
  constructor(
    parts: SessionClientParts,
    sessionId: string,
    options: Readonly<Record<string, string>>,
    body?: SentBody,
  ) {
    this.#parts = parts;
    this.#sessionId = sessionId;
    this.#options = options;
    this.#body = body;
  }

  async origin(signal: AbortSignal): Promise<string> {
    return this.#sessionId === "" ? "" : (await this.#parts.sessions.find(this.#sessionId, signal)).sharedKey;
  }

  async local(name: string, filter: LocalFilter): Promise<LocalContext | undefined> {
    const id = this.#options[`local-sessionid:${name}`] ?? this.#sessionId;
    if (id === "") return undefined;
    const found = await this.#parts.sessions.find(id, filter.signal);
    if (!found.answers(session.fileSync)) return undefined;
    const { include = [], exclude = [], followPaths = [] } = filter;
    try {
      return await found.locals.use(JSON.stringify([name, include, exclude, followPaths]), async () => {
        const hint = this.#options[`sharedkey:localdir:${name}`] ?? "";
        // The ignore file alone is no copy of the context: it must not take the place of one.
        const onlyIgnore =
          followPaths.length > 0 && followPaths.every((path) => path.endsWith(".dockerignore"));
        const key = [found.sharedKey, hint, name, onlyIgnore ? "ignore" : ""].join("\0");
        return await this.#bring(found, name, filter, key);
      });
    } catch (thrown) {
      throw faultOfCall(thrown);
    }
  }

  async #bring(found: ClientSession, name: string, filter: LocalFilter, key: string): Promise<LocalContext> {
    const metadata = {
      [sessionHeader.directory]: [name],
      ...patterns(sessionHeader.include, filter.include),
      ...patterns(sessionHeader.exclude, filter.exclude),
      ...patterns(sessionHeader.follow, filter.followPaths),
    };
    return await this.#parts.mirrors.lend(key, name, async (mirror) => {
      using call = found.channel.open(session.fileSync, { metadata, signal: filter.signal });
      await receiveFiles(call, mirror, filter.transferred ?? (() => undefined));
    });
  }

  async names(
    name: string,
    directory: string,
    { exclude, signal }: Pick<LocalFilter, "exclude" | "signal">,
  ): Promise<string[]> {
    const id = this.#options[`local-sessionid:${name}`] ?? this.#sessionId;
    if (id === "") return [];
    const found = await this.#parts.sessions.find(id, signal);
    if (!found.answers(session.fileSync)) return [];
    const prefix = directory === "" ? "" : `${directory}/`;
    const metadata = {
      [sessionHeader.directory]: [name],
      ...patterns(sessionHeader.include, [`${prefix}*`]),
      ...patterns(sessionHeader.exclude, exclude),
    };
    const names: string[] = [];
    try {
      // Called off when the listing is there: nothing of the content is asked for.
      using call = found.channel.open(session.fileSync, { metadata, signal });
      for await (const { type, stat } of call.responses) {
        if (type !== packetType.stat || stat === undefined || names.length >= namesMax) break;
        const inner = stat.path.startsWith(prefix) ? stat.path.slice(prefix.length) : "";
        if (inner !== "" && !inner.includes("/")) names.push(inner);
      }
    } catch (thrown) {
      throw faultOfCall(thrown);
    }
    return names;
  }

  async upload(address: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
    if (address === this.#body?.address) return this.#body.bytes;
    const url = URL.parse(address);
    if (url === null || this.#sessionId === "") return undefined;
    const found = await this.#parts.sessions.find(this.#sessionId, signal);
    if (!found.answers(session.upload)) return undefined;
    const metadata = { [sessionHeader.urlPath]: [url.pathname], [sessionHeader.urlHost]: [url.host] };
    return uploaded(found, metadata, signal);
  }

  async secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const answer = await this.#ask(signal, (found) =>
      found.answers(session.getSecret)
        ? found.channel.ask(session.getSecret, { ID: id }, { signal })
        : undefined,
    );
    if (answer !== undefined && answer.data.length > secretBytesMax)
      throw new GrpcError(grpcCode.unknown, `secret ${id} is larger than ${secretBytesMax} bytes`);
    return answer?.data;
  }

  async ssh(id: string, signal: AbortSignal): Promise<SshAgent | undefined> {
    return await this.#ask(signal, async (found) => {
      if (!found.answers(session.checkAgent)) return undefined;
      await found.channel.ask(session.checkAgent, { ID: id }, { signal });
      return await serveAgent(found.channel, id, { directory: this.#parts.socketDirectory, signal });
    });
  }

  async credentials(host: string, signal: AbortSignal): Promise<Credentials | undefined> {
    const answer = await this.#ask(signal, (found) =>
      found.answers(session.credentials)
        ? found.channel.ask(session.credentials, { Host: host }, { signal })
        : undefined,
    );
    if (answer === undefined || answer.Secret === "") return undefined;
    return answer.Username === ""
      ? { identityToken: answer.Secret }
      : { username: answer.Username, password: answer.Secret };
  }

  async blobs(store: string, signal: AbortSignal): Promise<LentBlobs | undefined> {
    if (this.#sessionId === "") return undefined;
    const found = await this.#parts.sessions.find(this.#sessionId, signal);
    return found.answers(content.read) ? new ClientContent(found, store) : undefined;
  }

  /** Undefined when the client has no such thing. */
  async #ask<T>(
    signal: AbortSignal,
    question: (found: ClientSession) => Promise<T | undefined> | undefined,
  ): Promise<T | undefined> {
    if (this.#sessionId === "") return undefined;
    try {
      return await question(await this.#parts.sessions.find(this.#sessionId, signal));
    } catch (thrown) {
      if (thrown instanceof GrpcError && isNone(thrown)) return undefined;
      throw faultOfCall(thrown);
    }
  }
}

/** Clients say it by a code or, for an agent that was not forwarded, in words. */
function isNone({ code, message }: GrpcError): boolean {
  return (
    code === grpcCode.notFound ||
    code === grpcCode.unimplemented ||
    /unset ssh forward key|not found|no ssh handler/.test(message)
  );
}

/** Values beyond ASCII make all of them percent-encoded, and a second header say so. */
function patterns(name: string, values: readonly string[] = []): Record<string, readonly string[]> {
  if (values.length === 0) return {};
  const plain = values.every((value) => /^[\x20-\x7e]*$/.test(value));
  return plain ? { [name]: values } : { [name]: values.map(queryEscape), [`${name}-encoded`]: ["1"] };
}

function queryEscape(text: string): string {
  return encodeURIComponent(text).replaceAll("%20", "+");
}

async function* uploaded(
  found: ClientSession,
  metadata: Record<string, string[]>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    using call = found.channel.open(session.upload, { metadata, signal });
    call.end();
    for await (const { data } of call.responses) if (data.length > 0) yield data;
  } catch (thrown) {
    throw faultOfCall(thrown);
  }
}
