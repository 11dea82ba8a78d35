import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultRegistryOptions } from "#registry/client/registry-options.ts";
import { FileDepot } from "#registry/depot/depot-files.ts";
import { digestOf, first, refuse, ScriptedRegistry } from "#registry/scripted-registry.ts";
import { mediaType } from "#spec/image.ts";
import { collect } from "./registry-collect.ts";
import { RegistryServer } from "./registry-server.ts";

let root: string;
let source: ScriptedRegistry;
let cache: RegistryServer;
let ended: AbortController;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "wherry-cache-"));
  source = await ScriptedRegistry.start();
  ended = new AbortController();
  cache = new RegistryServer(
    await FileDepot.open(root),
    {
      access: { anonymousPull: false },
      deletes: true,
      blobBytesMax: 64 << 20,
      upstream: { remote: new URL(`http://${source.host}`), registry: defaultRegistryOptions },
      signal: ended.signal,
    },
    { answered: () => {}, happened: () => {}, failed: () => {} },
  );
});
afterEach(async () => {
  ended.abort();
  await source[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

const ask = async (
  path: string,
  o: { method?: string; headers?: Record<string, string>; body?: string } = {},
) => await cache.answer(new Request(`http://cache/v2/${path}`, o));

async function code(answer: Response): Promise<string> {
  const { errors } = (await answer.json()) as { errors: { code: string }[] };
  return `${answer.status} ${errors[0]?.code}`;
}

function image(name: string, tag: string, layer: Buffer): string {
  const about = (bytes: Buffer, type: string) => ({
    mediaType: type,
    digest: source.addBlob(bytes),
    size: bytes.length,
  });
  const document = {
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: about(Buffer.from("{}"), mediaType.ociConfig),
    layers: [about(layer, mediaType.ociLayerGzip)],
  };
  return source.addManifest(name, tag, document, mediaType.ociManifest);
}

const files = async () =>
  (await readdir(root, { recursive: true, withFileTypes: true })).filter((f) => f.isFile());

describe("a cache of another registry", () => {
  test("serves manifests, fetched once, and tags as they are over there now", async () => {
    const digest = image("a/b", "v1", Buffer.from("layer"));
    for (const reference of ["v1", "v1", digest]) {
      const got = await ask(`a/b/manifests/${reference}`);
      expect([got.status, got.headers.get("docker-content-digest")]).toEqual([200, digest]);
    }
    expect(source.count("GET", /manifests/)).toBe(1);
    expect(source.count("HEAD", /manifests\/v1/)).toBe(2);
    const next = image("a/b", "v1", Buffer.from("another layer"));
    const head = await ask("a/b/manifests/v1", { method: "HEAD" });
    expect(head.headers.get("docker-content-digest")).toBe(next);
    expect((await ask(`a/b/manifests/${digest}`)).status).toBe(200);
    expect(await (await ask("a/b/tags/list")).json()).toEqual({ name: "a/b", tags: ["v1"] });
    expect(await code(await ask("a/b/manifests/v2"))).toBe("404 MANIFEST_UNKNOWN");
    source.manifests.delete("a/b:v1");
    expect(await code(await ask("a/b/manifests/v1"))).toBe("404 MANIFEST_UNKNOWN");
  });

  test("asks once for all who ask at once, and sends what has come so far", async () => {
    const bytes = randomBytes(9 << 20);
    const digest = source.addBlob(bytes);
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    source.scripts.push(async (request, response) => {
      if (request.method !== "GET" || !request.url?.includes(digest)) return false;
      response.writeHead(200, { "Content-Length": bytes.length });
      response.write(bytes.subarray(0, 5 << 20));
      await held;
      response.end(bytes.subarray(5 << 20));
      return true;
    });
    const early = (await ask(`a/blobs/${digest}`)).body as ReadableStream<Uint8Array>;
    const reader = early.getReader();
    const begun: Uint8Array[] = [];
    for (let size = 0; size < 5 << 20; size += begun.at(-1)?.length ?? 0)
      begun.push((await reader.read()).value ?? new Uint8Array());
    const others = await Promise.all(Array.from({ length: 5 }, async () => await ask(`a/blobs/${digest}`)));
    const part = await ask(`a/blobs/${digest}`, { headers: { Range: "bytes=4000000-6000000" } });
    expect([part.status, part.headers.get("content-range")]).toEqual([
      206,
      `bytes 4000000-6000000/${bytes.length}`,
    ]);
    release();
    for (const each of others) expect(digestOf(await each.bytes())).toBe(digest);
    expect(Buffer.from(await part.bytes())).toEqual(bytes.subarray(4_000_000, 6_000_001));
    for (let next = await reader.read(); next.done !== true; next = await reader.read())
      begun.push(next.value);
    expect(digestOf(Buffer.concat(begun))).toBe(digest);
    expect(digestOf(await (await ask(`a/blobs/${digest}`)).bytes())).toBe(digest);
    expect(source.count("GET", /blobs/)).toBe(1);
  });

  test("goes on where a blob broke off, and keeps no wrong one", async () => {
    const bytes = randomBytes(3 << 20);
    const digest = source.addBlob(bytes);
    const isBlob = (method: string | undefined, url: string | undefined) =>
      method === "GET" && url?.includes("blobs") === true;
    source.scripts.push(
      first(
        1,
        ({ method, url }) => isBlob(method, url),
        async (_, response) => {
          response.writeHead(200, { "Content-Length": bytes.length });
          await new Promise<void>((resolve) => response.write(bytes.subarray(0, 1 << 20), () => resolve()));
          await Bun.sleep(50);
          response.destroy();
          return true;
        },
      ),
    );
    expect(digestOf(await (await ask(`a/blobs/${digest}`)).bytes())).toBe(digest);
    expect(source.asked.filter(({ headers }) => headers["range"] !== undefined).length).toBe(1);
    const lie = digestOf(Buffer.from("another"));
    source.blobs.set(lie, Buffer.from("a lie"));
    expect((await ask(`a/blobs/${lie}`)).bytes()).rejects.toThrow();
    await Bun.sleep(20);
    expect((await files()).map(({ name }) => name).sort()).toEqual([digest.slice(7), digest.slice(7)]);
  });

  test("answers with what it has while nobody answers over there", async () => {
    const layer = Buffer.from("layer");
    const digest = image("a", "v1", layer);
    await (await ask("a/manifests/v1")).text();
    await (await ask(`a/blobs/${digestOf(layer)}`)).text();
    source.scripts.push((_, response) => {
      refuse(response, 503, "UNAVAILABLE", "later");
      return true;
    });
    expect((await ask("a/manifests/v1")).status).toBe(200);
    expect(await (await ask("a/tags/list")).json()).toEqual({ name: "a", tags: ["v1"] });
    await source[Symbol.asyncDispose]();
    expect((await ask("a/manifests/v1")).headers.get("docker-content-digest")).toBe(digest);
    expect(await (await ask(`a/blobs/${digestOf(layer)}`)).text()).toBe("layer");
    expect(await code(await ask("a/manifests/v2"))).toBe("503 UNAVAILABLE");
    expect(await code(await ask(`a/blobs/${digestOf(Buffer.from("x"))}`))).toBe("503 UNAVAILABLE");
  });

  test("does not serve of one repository what only another one has", async () => {
    const digest = source.addBlob(Buffer.from("secret"));
    await (await ask(`private/blobs/${digest}`)).text();
    source.scripts.push((request, response) => {
      if (!request.url?.startsWith("/v2/public/")) return false;
      refuse(response, 404, "BLOB_UNKNOWN", "no");
      return true;
    });
    expect(await code(await ask(`public/blobs/${digest}`))).toBe("404 BLOB_UNKNOWN");
    source.scripts.length = 0;
    expect(await (await ask(`shared/blobs/${digest}`)).text()).toBe("secret");
    expect(source.count("GET", /blobs/)).toBe(1);
  });

  test.each([
    [429, "TOOMANYREQUESTS", "429 TOOMANYREQUESTS"],
    [403, "DENIED", "403 DENIED"],
    [500, "UNKNOWN", "503 UNAVAILABLE"],
  ])("tells what %p over there means here", async (status, name, expected) => {
    source.scripts.push((_, response) => {
      refuse(response, status, name, "no");
      return true;
    });
    expect(await code(await ask("a/manifests/v1"))).toBe(expected);
  });

  test("takes no pushes, and forgets what nobody asked for in a while", async () => {
    expect(await code(await ask("a/blobs/uploads/", { method: "POST" }))).toBe("405 UNSUPPORTED");
    expect(await code(await ask("a/manifests/x", { method: "PUT", body: "{}" }))).toBe("405 UNSUPPORTED");
    const layer = Buffer.from("layer");
    image("a", "v1", layer);
    await (await ask("a/manifests/v1")).text();
    await (await ask(`a/blobs/${digestOf(layer)}`)).text();
    const at = (ms: number) => ({
      ...{ graceMs: 1000, uploadMs: 1000, expireMs: 60_000 },
      ...{ nowMs: Date.now() + ms, signal: ended.signal },
    });
    expect((await collect(cache.store, at(30_000))).blobs).toBe(0);
    expect((await collect(cache.store, at(90_000))).blobs).toBe(2);
    expect(await files()).toEqual([]);
    expect((await ask("a/manifests/v1")).status).toBe(200);
  });
});
