/** Requests about images and builds (Engine API, "Image"). */
import type { DistributionInspect, KeptBlobSummary, SearchResult } from "#spec/docker-images.ts";
import type {
  HistoryItem,
  IdAnswer,
  ImageDeleted,
  ImageInspect,
  ImageSummary,
  JsonMessage,
} from "#spec/docker-wire.ts";
import { type Filters, formatFilters } from "#spec/filters.ts";
import type { Connection } from "./connection.ts";

export interface BuildOptions {
  readonly dockerfile: string;
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target?: string | undefined;
  readonly noCache: boolean;
  readonly networkMode?: string | undefined;
  readonly platform?: string | undefined;
  readonly quiet: boolean;
  readonly pull?: boolean;
  /** What `X-Registry-Config` takes. */
  readonly registryConfig?: string;
}

export interface TransferOptions {
  readonly name: string;
  readonly tag?: string | undefined;
  readonly platform?: string | undefined;
  readonly auth?: string | undefined;
  readonly signal?: AbortSignal;
}

/** Older engines want a header even so. */
const nobody = "e30=";

export class ImagesClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** `manifests`: with what each name stands for on its platforms. `sharedSize`: with what images have in common. */
  async list(
    o: {
      readonly all?: boolean;
      readonly filters?: Filters;
      readonly manifests?: boolean;
      readonly sharedSize?: boolean;
    } = {},
  ): Promise<ImageSummary[]> {
    const filters = o.filters === undefined ? undefined : formatFilters(o.filters);
    const query = { all: o.all, filters, manifests: o.manifests, "shared-size": o.sharedSize };
    return await this.#connection.json("GET", "/images/json", { query });
  }

  /** `platform` as JSON. */
  async inspect(
    reference: string,
    query: { readonly platform?: string | undefined } = {},
  ): Promise<ImageInspect> {
    return await this.#connection.json("GET", `${at(reference)}/json`, { query });
  }

  async history(
    reference: string,
    query: { readonly platform?: string | undefined } = {},
  ): Promise<HistoryItem[]> {
    return await this.#connection.json("GET", `${at(reference)}/history`, { query });
  }

  async prune(filters: Filters): Promise<{ ImagesDeleted: ImageDeleted[] | null; SpaceReclaimed: number }> {
    return await this.#connection.json("POST", "/images/prune", {
      query: { filters: formatFilters(filters) },
    });
  }

  /** Why this engine's store keeps what it has. */
  async blobs(): Promise<KeptBlobSummary[]> {
    return await this.#connection.json("GET", "/blobs");
  }

  async tag(reference: string, repo: string, tag: string): Promise<void> {
    await this.#connection.done("POST", `${at(reference)}/tag`, { query: { repo, tag } });
  }

  async remove(
    reference: string,
    o: { readonly force?: boolean; readonly noPrune?: boolean } = {},
  ): Promise<ImageDeleted[]> {
    return await this.#connection.json("DELETE", at(reference), {
      query: { force: o.force, noprune: o.noPrune },
    });
  }

  /** The same image in a single layer; wherry's own. @returns Its id. */
  async squash(reference: string, o: { readonly name?: string | undefined } = {}): Promise<string> {
    const answer = this.#connection.json<IdAnswer>("POST", `${at(reference)}/squash`, {
      query: { t: o.name },
    });
    return (await answer).Id;
  }

  /** A root file system as a tar, made an image. */
  import(
    tar: AsyncIterable<Uint8Array>,
    o: {
      readonly repo?: string | undefined;
      readonly tag?: string | undefined;
      readonly changes: readonly string[];
      readonly message?: string | undefined;
      readonly platform?: string | undefined;
    },
  ): AsyncIterable<JsonMessage> {
    const { changes, ...rest } = o;
    const query = { fromSrc: "-", ...rest, changes };
    return this.#connection.lines("POST", "/images/create", {
      query,
      stream: tar,
      contentType: "application/x-tar",
    });
  }

  /** Without a tag: every tag. `auth` is what `X-Registry-Auth` takes. */
  pull(o: TransferOptions): AsyncIterable<JsonMessage> {
    const query = { fromImage: o.name, tag: o.tag, platform: o.platform };
    return this.#connection.lines("POST", "/images/create", {
      query,
      registryAuth: o.auth,
      signal: o.signal,
    });
  }

  push(o: TransferOptions): AsyncIterable<JsonMessage> {
    const query = { tag: o.tag, platform: o.platform };
    const registryAuth = o.auth ?? nobody;
    return this.#connection.lines("POST", `${at(o.name)}/push`, { query, registryAuth, signal: o.signal });
  }

  /** An archive of images, in parts that are lent until the next one. `platforms` as JSON; none: all there are. */
  async save(
    names: readonly string[],
    o: { readonly platforms?: readonly string[] } = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const query = { names, platform: o.platforms };
    return (await this.#connection.send("GET", "/images/get", { query, bulk: true })).body;
  }

  /** `platforms` as JSON; none: all there are. */
  load(
    archive: AsyncIterable<Uint8Array>,
    o: { readonly quiet: boolean; readonly platforms?: readonly string[] },
  ): AsyncIterable<JsonMessage> {
    return this.#connection.lines("POST", "/images/load", {
      query: { quiet: o.quiet, platform: o.platforms },
      stream: archive,
      contentType: "application/x-tar",
    });
  }

  async search(
    term: string,
    o: {
      readonly limit?: string | undefined;
      readonly filters?: Filters;
      readonly auth?: string | undefined;
    } = {},
  ): Promise<SearchResult[]> {
    const filters = o.filters === undefined ? undefined : formatFilters(o.filters);
    const query = { term, limit: o.limit, filters };
    return await this.#connection.json("GET", "/images/search", { query, registryAuth: o.auth });
  }

  /** What a registry has under a name; `Manifest` is its text. */
  async distribution(
    name: string,
    o: { readonly auth?: string | undefined } = {},
  ): Promise<DistributionInspect> {
    const path = `/distribution/${at(name).slice("/images/".length)}/json`;
    return await this.#connection.json("GET", path, { query: { manifest: true }, registryAuth: o.auth });
  }

  /** Puts a list of manifests into a registry that has these under the names given; wherry's own. */
  async pushList(
    name: string,
    list: {
      readonly Text: string;
      readonly Manifests: readonly { readonly Name: string; readonly Digest: string }[];
    },
    o: { readonly auth?: string | undefined } = {},
  ): Promise<void> {
    const path = `/distribution/${at(name).slice("/images/".length)}/list`;
    await this.#connection.done("POST", path, { body: list, registryAuth: o.auth });
  }

  build(
    context: AsyncIterable<Uint8Array>,
    o: BuildOptions,
    signal?: AbortSignal,
  ): AsyncIterable<JsonMessage> {
    const query = {
      t: o.tags,
      dockerfile: o.dockerfile,
      buildargs: JSON.stringify(o.buildArgs),
      labels: JSON.stringify(o.labels),
      target: o.target,
      nocache: o.noCache,
      networkmode: o.networkMode,
      platform: o.platform,
      q: o.quiet,
      pull: o.pull,
      rm: true,
      version: "1",
    };
    return this.#connection.lines("POST", "/build", {
      query,
      registryConfig: o.registryConfig,
      stream: context,
      contentType: "application/x-tar",
      signal,
    });
  }
}

function at(reference: string): string {
  return `/images/${reference.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":").replaceAll("%40", "@")}`;
}
