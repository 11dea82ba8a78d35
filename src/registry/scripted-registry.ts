/** For tests only: a registry on loopback that does as it is told, and remembers what it was asked. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Digest } from "#spec/digest.ts";
import { mediaType } from "#spec/image.ts";

export interface Asked {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** True: answered. */
export type Script = (
  request: IncomingMessage,
  response: ServerResponse,
  registry: ScriptedRegistry,
) => boolean | Promise<boolean>;

export class ScriptedRegistry implements AsyncDisposable {
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { readonly bytes: Buffer; readonly type: string }>();
  readonly asked: Asked[] = [];
  /** Asked first, in this order. */
  readonly scripts: Script[] = [];
  readonly #uploads = new Map<string, Buffer[]>();
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
  }

  static async start(
    o: {
      readonly hostname?: string;
      readonly tls?: Parameters<typeof createTlsServer>[0];
      /** Calls what opens the socket, as in another network namespace. */
      readonly within?: (open: () => void) => void;
    } = {},
  ): Promise<ScriptedRegistry> {
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      registry.#answer(request, response).catch(() => response.destroy());
    };
    const server = o.tls === undefined ? createServer(answer) : createTlsServer(o.tls, answer);
    const registry = new ScriptedRegistry(server as ReturnType<typeof createServer>);
    const open = () => void server.listen(0, o.hostname ?? "127.0.0.1");
    if (o.within === undefined) open();
    else o.within(open);
    if (!server.listening) await once(server, "listening");
    return registry;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  addBlob(bytes: Buffer): Digest {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return digest;
  }

  addManifest(
    name: string,
    tag: string,
    document: object | Buffer,
    type: string = mediaType.dockerManifest,
  ): Digest {
    const bytes = Buffer.isBuffer(document) ? document : Buffer.from(JSON.stringify(document));
    const digest = digestOf(bytes);
    for (const reference of [tag, digest]) this.manifests.set(`${name}:${reference}`, { bytes, type });
    return digest;
  }

  /** Requests of this kind so far. */
  count(method: string, path: RegExp): number {
    return this.asked.filter((each) => each.method === method && path.test(each.path)).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path, method] = [request.url ?? "", request.method ?? ""];
    this.asked.push({ method, path, headers: request.headers });
    for (const script of this.scripts) if (await script(request, response, this)) return;
    const url = new URL(path, "http://registry");
    const [, name = "", kind = "", rest = ""] =
      /^\/v2\/(.+?)\/(manifests|blobs|tags)\/(.*)$/.exec(url.pathname) ?? [];
    if (kind === "manifests") await this.#manifest(request, response, name, rest);
    else if (rest.startsWith("uploads")) await this.#upload(request, response, name, url);
    else if (kind === "blobs") this.#blob(request, response, rest);
    else if (kind === "tags") {
      const tags = [...this.manifests.keys()].map((key) => key.slice(name.length + 1));
      reply(response, 200, JSON.stringify({ name, tags: tags.filter((tag) => !tag.includes(":")) }));
    } else reply(response, 200, "{}");
  }

  async #manifest(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    of: string,
  ): Promise<void> {
    if (request.method === "PUT") {
      const bytes = await bodyOf(request);
      this.addManifest(name, of, bytes, String(request.headers["content-type"]));
      reply(response, 201, "");
      return;
    }
    const found = this.manifests.get(`${name}:${of}`);
    if (found === undefined) refuse(response, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    else
      reply(response, 200, request.method === "HEAD" ? "" : found.bytes, {
        "Content-Type": found.type,
        "Docker-Content-Digest": digestOf(found.bytes),
      });
  }

  #blob(request: IncomingMessage, response: ServerResponse, digest: string): void {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) refuse(response, 404, "BLOB_UNKNOWN", "blob unknown to registry");
    else if (request.method === "HEAD") {
      response.writeHead(200, { "Content-Length": bytes.length });
      response.end();
    } else {
      const [, from] = /^bytes=(\d+)-$/.exec(String(request.headers.range ?? "")) ?? [];
      if (from === undefined) reply(response, 200, bytes);
      else {
        const range = { "Content-Range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
        reply(response, 206, bytes.subarray(Number(from)), range);
      }
    }
  }

  async #upload(request: IncomingMessage, response: ServerResponse, name: string, url: URL): Promise<void> {
    const id = url.pathname.split("/uploads/")[1] || crypto.randomUUID();
    const place = { Location: `/v2/${name}/blobs/uploads/${id}` };
    const parts = this.#uploads.get(id) ?? [];
    if (request.method === "POST") {
      const mounted = this.blobs.has(url.searchParams.get("mount") ?? "");
      if (!mounted) this.#uploads.set(id, parts);
      reply(response, mounted ? 201 : 202, "", mounted ? place : { ...place, Range: "0-0" });
      return;
    }
    if (!this.#uploads.has(id)) return refuse(response, 404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown");
    if (request.method !== "GET")
      try {
        for await (const part of request) parts.push(part as Buffer);
      } catch {
        return;
      }
    const whole = Buffer.concat(parts);
    if (request.method === "PUT") {
      if (digestOf(whole) !== url.searchParams.get("digest"))
        return refuse(response, 400, "DIGEST_INVALID", "provided digest did not match uploaded content");
      this.blobs.set(digestOf(whole), whole);
    }
    const range = whole.length === 0 ? {} : { Range: `0-${whole.length - 1}` };
    reply(response, request.method === "PUT" ? 201 : request.method === "GET" ? 204 : 202, "", {
      ...place,
      ...range,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

export function reply(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "Content-Length": Buffer.byteLength(body), ...headers });
  response.end(body);
}

export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  reply(response, status, JSON.stringify({ errors: [{ code, message }] }), {
    "Content-Type": "application/json",
  });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Does something only the first `times` requests that fit. */
export function first(times: number, fits: (request: IncomingMessage) => boolean, script: Script): Script {
  let left = times;
  return (request, response, registry) => {
    if (left === 0 || !fits(request)) return false;
    left--;
    return script(request, response, registry);
  };
}
