/** An engine, as programs talk to it: Docker's Engine API, typed. */
import type { CheckLine } from "#spec/check.ts";
import type { DiskExplanation, DiskUsage } from "#spec/docker-df.ts";
import type { EventMessage, SystemInfo, VersionInfo } from "#spec/docker-wire.ts";
import { type Filters, formatFilters } from "#spec/filters.ts";
import { type EngineTls, parseAddress } from "./address.ts";
import { ArchivesClient } from "./archives.ts";
import { BuildsClient } from "./builds.ts";
import { Connection } from "./connection.ts";
import { ContainersClient } from "./containers.ts";
import { ImagesClient } from "./images.ts";
import { NetworksClient } from "./networks.ts";
import { TrashClient } from "./trash.ts";
import { VolumesClient } from "./volumes.ts";

/** The newest version of the API this client speaks. */
const newest = "1.50";

export class Client {
  readonly containers: ContainersClient;
  readonly archives: ArchivesClient;
  readonly images: ImagesClient;
  readonly volumes: VolumesClient;
  readonly trash: TrashClient;
  readonly networks: NetworksClient;
  readonly builds: BuildsClient;
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
    this.containers = new ContainersClient(connection);
    this.archives = new ArchivesClient(connection);
    this.images = new ImagesClient(connection);
    this.volumes = new VolumesClient(connection);
    this.trash = new TrashClient(connection);
    this.networks = new NetworksClient(connection);
    this.builds = new BuildsClient(connection);
  }

  /** Agrees on a version with the engine at `host`, unless one is given. @throws Fault `unavailable` when none answers. */
  static async connect(o: {
    readonly host: string;
    readonly tls?: EngineTls | undefined;
    readonly version?: string | undefined;
  }): Promise<Client> {
    const connection = new Connection(parseAddress(o.host, o.tls));
    connection.prefix = `/v${o.version ?? (await agree(connection))}`;
    return new Client(connection);
  }

  get apiVersion(): string {
    return this.#connection.prefix.slice(2);
  }

  async version(): Promise<VersionInfo> {
    return await this.#connection.json("GET", "/version");
  }

  async info(): Promise<SystemInfo> {
    return await this.#connection.json("GET", "/info");
  }

  /** Asks the engine to try credentials at a registry. @throws Fault with its refusal. */
  async signIn(auth: {
    readonly username?: string;
    readonly password?: string;
    readonly identitytoken?: string;
    readonly serveraddress: string;
  }): Promise<{ IdentityToken?: string; Status: string }> {
    return await this.#connection.json("POST", "/auth", { body: auth });
  }

  /** What images, containers and volumes take up. Walks their trees: not for every second. */
  async diskUsage(type: readonly string[] = []): Promise<DiskUsage> {
    return await this.#connection.json("GET", "/system/df", { query: { type } });
  }

  /** All that lies below the data root, part by part. Walks everything: may take long. */
  async explainDisk(): Promise<DiskExplanation> {
    return await this.#connection.json("GET", "/system/df/explain");
  }

  /** Whether what the engine keeps is as it says. Findings as they come, the summary last. */
  check(o: { readonly repair: boolean; readonly signal?: AbortSignal }): AsyncIterable<CheckLine> {
    const { repair, signal } = o;
    return this.#connection.lines("POST", "/system/check", { query: { repair }, signal });
  }

  /** Without `until`, for as long as the engine lives. Times are given as `seconds.nanoseconds`. */
  async *events(o: EventOptions): AsyncGenerator<EventMessage> {
    for await (const line of this.eventLines(o)) yield JSON.parse(line) as EventMessage;
  }

  /** The same as the engine wrote them: with every digit of their times. */
  eventLines(o: EventOptions): AsyncIterable<string> {
    const { since, until, filters, signal } = o;
    const query = { since, until, filters: filters === undefined ? undefined : formatFilters(filters) };
    return this.#connection.textLines("GET", "/events", { query, signal });
  }
}

export interface EventOptions {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly filters?: Filters;
  readonly signal?: AbortSignal;
}

/** The engine's newest, or this client's when that is older. */
async function agree(connection: Connection): Promise<string> {
  const { headers, body } = await connection.send("GET", "/_ping");
  for await (const _ of body);
  const theirs = String(headers["api-version"] ?? newest);
  return minorOf(theirs) < minorOf(newest) ? theirs : newest;
}

function minorOf(version: string): number {
  return Number(version.split(".")[1] ?? 0);
}
