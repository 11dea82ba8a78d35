/** Requests about containers' files (Engine API, "Container": archive, changes, export; commit). */
import type { ContainerPathStat, FilesystemChange } from "#spec/docker-archive.ts";
import type { IdAnswer } from "#spec/docker-wire.ts";
import type { Answer } from "./answer.ts";
import type { Connection } from "./connection.ts";

export interface WriteOptions {
  /** Refuses to replace a directory by a file and the other way round. */
  readonly keepKinds?: boolean;
  /** Everything becomes the container's user's. */
  readonly asUser?: boolean;
  readonly signal?: AbortSignal;
}

export interface CommitOptions {
  readonly repo?: string | undefined;
  readonly tag?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  readonly changes?: readonly string[];
  /** @default true */
  readonly pause?: boolean;
}

/** Files of what has some: containers, volumes. */
export class FilesClient {
  readonly #connection: Connection;
  readonly #base: string;

  constructor(connection: Connection, base: "/containers" | "/volumes") {
    this.#connection = connection;
    this.#base = base;
  }

  /** @throws Fault `not-found`, which has no more words: the answer has no body. */
  async stat(id: string, path: string): Promise<ContainerPathStat> {
    const answer = await this.#connection.send("HEAD", this.#at(id), { query: { path } });
    for await (const _ of answer.body);
    return await statOf(answer);
  }

  async read(
    id: string,
    path: string,
  ): Promise<{ readonly stat: ContainerPathStat; readonly tar: AsyncIterable<Uint8Array> }> {
    const answer = await this.#connection.send("GET", this.#at(id), { query: { path } });
    return { stat: await statOf(answer), tar: answer.body };
  }

  async write(id: string, path: string, tar: AsyncIterable<Uint8Array>, o: WriteOptions = {}): Promise<void> {
    await this.#connection.done("PUT", this.#at(id), {
      query: { path, noOverwriteDirNonDir: o.keepKinds, copyUIDGID: o.asUser },
      stream: tar,
      contentType: "application/x-tar",
      signal: o.signal,
    });
  }

  #at(id: string): string {
    return `${this.#base}/${encodeURIComponent(id)}/archive`;
  }
}

export class ArchivesClient extends FilesClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    super(connection, "/containers");
    this.#connection = connection;
  }

  /** In parts that are lent until the next one. */
  async export(id: string): Promise<AsyncIterable<Uint8Array>> {
    return (await this.#connection.send("GET", `${at(id)}/export`, { bulk: true })).body;
  }

  async changes(id: string): Promise<FilesystemChange[]> {
    return (await this.#connection.json<FilesystemChange[] | null>("GET", `${at(id)}/changes`)) ?? [];
  }

  /** @returns The image's id. */
  async commit(container: string, o: CommitOptions = {}): Promise<string> {
    const query = { container, ...o, changes: o.changes ?? [] };
    return (await this.#connection.json<IdAnswer>("POST", "/commit", { query })).Id;
  }
}

function at(id: string): string {
  return `/containers/${encodeURIComponent(id)}`;
}

async function statOf({ headers }: Answer): Promise<ContainerPathStat> {
  // Loaded here: what checks it, most commands never need.
  const { decodePathStat, pathStatHeader } = await import("#spec/docker-archive.ts");
  const header = headers[pathStatHeader.toLowerCase()];
  return decodePathStat(typeof header === "string" ? header : undefined);
}
