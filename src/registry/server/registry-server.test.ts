import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileDepot } from "#registry/depot/depot-files.ts";
import { parseDigest } from "#spec/digest.ts";
import { mediaType } from "#spec/image.ts";
import type { AccessOptions } from "./registry-access.ts";
import { collect } from "./registry-collect.ts";
import { RegistryServer, type ServerOptions } from "./registry-server.ts";
import { keys } from "./registry-store.ts";

let root: string;
let server: RegistryServer;
const failures: unknown[] = [];
const open: AccessOptions = { anonymousPull: false };

async function serving(o: Partial<ServerOptions> = {}): Promise<RegistryServer> {
  return new RegistryServer(
    await FileDepot.open(root),
    { access: open, deletes: true, blobBytesMax: 1 << 20, ...o },
    { answered: () => {}, happened: () => {}, failed: (error) => failures.push(error) },
  );
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "wherry-registry-"));
  server = await serving();
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
  expect(failures.splice(0)).toEqual([]);
});

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
async function ask(
  method: string,
  path: string,
  o: { readonly body?: Body; readonly headers?: Record<string, string>; readonly at?: RegistryServer } = {},
): Promise<Response> {
  const { body, headers = {} } = o;
  return await (o.at ?? server).answer(
    new Request(`http://registry${path}`, { method, headers, ...(body !== undefined && { body }) }),
  );
}

async function code(answer: Response): Promise<string> {
  const { errors } = (await answer.json()) as { errors: { code: string }[] };
  return `${answer.status} ${errors[0]?.code}`;
}

const sha = (bytes: string, algorithm = "sha256") =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;

async function pushBlob(repository: string, bytes: string, algorithm?: string): Promise<string> {
  const digest = sha(bytes, algorithm);
  const answer = await ask("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });
  expect(answer.status).toBe(201);
  return digest;
}

function imageOf(config: string, layers: readonly string[], more: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: { mediaType: mediaType.ociConfig, digest: config, size: 2 },
    layers: layers.map((digest) => ({ mediaType: mediaType.ociLayerGzip, digest, size: 1 })),
    ...more,
  });
}

async function putManifest(
  repository: string,
  reference: string,
  body: string,
  type = mediaType.ociManifest as string,
) {
  return await ask("PUT", `/v2/${repository}/manifests/${reference}`, {
    body,
    headers: { "Content-Type": type },
  });
}

async function pushImage(
  repository: string,
  tag: string,
  layer = "layer",
  more: object = {},
): Promise<string> {
  const image = imageOf(await pushBlob(repository, "{}"), [await pushBlob(repository, layer)], more);
  const answer = await putManifest(repository, tag, image);
  expect(answer.status).toBe(201);
  return answer.headers.get("docker-content-digest") ?? "";
}

async function beginUpload(repository = "a/b"): Promise<string> {
  const answer = await ask("POST", `/v2/${repository}/blobs/uploads/`);
  expect(answer.status).toBe(202);
  return answer.headers.get("location") ?? "";
}

async function names(): Promise<string[]> {
  return (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(root.length + 1));
}

describe("blobs", () => {
  test.each(["sha256", "sha512"])(
    "pushed at once, by %s, are read whole, in parts, or not again",
    async (algorithm) => {
      const digest = await pushBlob("a/b", "0123456789", algorithm);
      const path = `/v2/a/b/blobs/${digest}`;
      const head = await ask("HEAD", path);
      expect([
        head.status,
        head.headers.get("content-length"),
        head.headers.get("docker-content-digest"),
      ]).toEqual([200, "10", digest]);
      const got = await ask("GET", path);
      expect(await got.text()).toBe("0123456789");
      const part = await ask("GET", path, { headers: { Range: "bytes=2-4" } });
      expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([
        206,
        "bytes 2-4/10",
        "234",
      ]);
      const tail = await ask("GET", path, { headers: { Range: "bytes=-3" } });
      expect(await tail.text()).toBe("789");
      const beyond = await ask("GET", path, { headers: { Range: "bytes=10-" } });
      expect(await code(beyond)).toBe("416 RANGE_INVALID");
      const known = await ask("GET", path, { headers: { "If-None-Match": `W/"x", "${digest}"` } });
      expect([known.status, await known.text()]).toEqual([304, ""]);
    },
  );

  test("pushed in parts go on in another process, and say where they are", async () => {
    const place = await beginUpload();
    const first = await ask("PATCH", place, { body: "01234", headers: { "Content-Range": "0-4" } });
    expect([first.status, first.headers.get("range")]).toEqual([202, "0-4"]);
    const other = await serving();
    const status = await ask("GET", place, { at: other });
    expect([status.status, status.headers.get("range"), status.headers.get("location")]).toEqual([
      204,
      "0-4",
      place,
    ]);
    const wrong = await ask("PATCH", place, { body: "x", headers: { "Content-Range": "7-7" }, at: other });
    expect(wrong.headers.get("range")).toBe("0-4");
    expect(await code(wrong)).toBe("416 RANGE_INVALID");
    const lie = await ask("PATCH", place, {
      body: "567",
      headers: { "Content-Range": "5-9", "Content-Length": "3" },
      at: other,
    });
    expect(await code(lie)).toBe("400 SIZE_INVALID");
    expect((await ask("PATCH", place, { body: "567", at: other })).status).toBe(202);
    const digest = sha("0123456789");
    const end = await ask("PUT", `${place}?digest=${digest}`, { body: "89" });
    expect([end.status, end.headers.get("location")]).toEqual([201, `/v2/a/b/blobs/${digest}`]);
    expect(await (await ask("GET", `/v2/a/b/blobs/${digest}`, { at: other })).text()).toBe("0123456789");
    expect(await code(await ask("GET", place))).toBe("404 BLOB_UPLOAD_UNKNOWN");
  });

  test("of another digest, or too large, leave nothing", async () => {
    const wrong = await ask("POST", `/v2/a/blobs/uploads/?digest=${sha("x")}`, { body: "y" });
    expect(await code(wrong)).toBe("400 DIGEST_INVALID");
    const place = await beginUpload("a");
    expect(await code(await ask("PUT", `${place}?digest=${sha("x")}`, { body: "y" }))).toBe(
      "400 DIGEST_INVALID",
    );
    const large = await ask("PATCH", await beginUpload("a"), { body: "x".repeat((1 << 20) + 1) });
    expect(await code(large)).toBe("413 SIZE_INVALID");
    expect(await names()).toEqual([]);
  });

  test("are cancelled, and gone", async () => {
    const place = await beginUpload();
    await ask("PATCH", place, { body: "x" });
    expect((await ask("DELETE", place)).status).toBe(204);
    expect(await code(await ask("DELETE", place))).toBe("404 BLOB_UPLOAD_UNKNOWN");
    expect(await code(await ask("PATCH", place, { body: "x" }))).toBe("404 BLOB_UPLOAD_UNKNOWN");
    expect(await names()).toEqual([]);
  });

  test("are of one upload at a time", async () => {
    const place = await beginUpload();
    let release = () => {};
    const slow = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(Buffer.from("1"));
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        controller.close();
      },
    });
    const first = ask("PATCH", place, { body: slow });
    while ((await ask("GET", place)).headers.get("range") !== "0-0") await Bun.sleep(1);
    const second = await ask("PATCH", place, { body: "2", at: await serving() });
    release();
    expect((await first).status).toBe(202);
    expect(second.status).toBe(409);
  });

  test("of another repository are read only after a mount (CVE-2026-35172)", async () => {
    const digest = await pushBlob("secret", "x");
    expect(await code(await ask("GET", `/v2/mine/blobs/${digest}`))).toBe("404 BLOB_UNKNOWN");
    const nowhere = await ask("POST", `/v2/mine/blobs/uploads/?mount=${digest}&from=nowhere`);
    expect(nowhere.status).toBe(202);
    const mounted = await ask("POST", `/v2/mine/blobs/uploads/?mount=${digest}&from=secret`);
    expect([mounted.status, mounted.headers.get("location")]).toEqual([201, `/v2/mine/blobs/${digest}`]);
    expect((await ask("DELETE", `/v2/secret/blobs/${digest}`)).status).toBe(202);
    expect((await ask("GET", `/v2/mine/blobs/${digest}`)).status).toBe(200);
    expect(await code(await ask("GET", `/v2/secret/blobs/${digest}`))).toBe("404 BLOB_UNKNOWN");
    await pushBlob("secret", "x");
    expect((await ask("GET", `/v2/secret/blobs/${digest}`)).status).toBe(200);
  });

  test("have a quota", async () => {
    const small = await serving({ repositoryBytesMax: 8 });
    const fits = await ask("POST", `/v2/a/blobs/uploads/?digest=${sha("12345")}`, {
      body: "12345",
      at: small,
    });
    expect(fits.status).toBe(201);
    const more = await ask("POST", `/v2/a/blobs/uploads/?digest=${sha("6789")}`, { body: "6789", at: small });
    expect(await code(more)).toBe("403 DENIED");
  });
});

describe("manifests", () => {
  test("are pushed, read by tag and digest, and known by ETag", async () => {
    const digest = await pushImage("a/b", "v1");
    for (const reference of ["v1", digest]) {
      const got = await ask("GET", `/v2/a/b/manifests/${reference}`);
      expect(got.headers.get("content-type")).toBe(mediaType.ociManifest);
      expect(sha(await got.text())).toBe(digest);
      const head = await ask("HEAD", `/v2/a/b/manifests/${reference}`);
      expect([head.status, head.headers.get("docker-content-digest")]).toEqual([200, digest]);
    }
    const known = await ask("GET", "/v2/a/b/manifests/v1", { headers: { "If-None-Match": `"${digest}"` } });
    expect(known.status).toBe(304);
    expect(await code(await ask("GET", "/v2/a/b/manifests/v2"))).toBe("404 MANIFEST_UNKNOWN");
    expect(await code(await ask("GET", "/v2/c/manifests/v2"))).toBe("404 NAME_UNKNOWN");
  });

  test("are refused when they are not what they should be", async () => {
    const config = await pushBlob("a", "{}");
    const good = imageOf(config, []);
    const missing = imageOf(config, [sha("nowhere")]);
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaType.ociIndex,
      manifests: [{ mediaType: mediaType.ociManifest, digest: sha("no"), size: 1 }],
    });
    const cases: [string, string, string, string][] = [
      ["t", missing, mediaType.ociManifest, "400 MANIFEST_BLOB_UNKNOWN"],
      ["t", index, mediaType.ociIndex, "400 MANIFEST_BLOB_UNKNOWN"],
      ["t", good, mediaType.ociIndex, "400 MANIFEST_INVALID"],
      ["t", good, "text/plain", "400 MANIFEST_INVALID"],
      ["t", good.replace("{", '{"layers":[],'), mediaType.ociManifest, "400 MANIFEST_INVALID"],
      ["t", good.replace("{", '{"manifests":[],'), mediaType.ociManifest, "400 MANIFEST_INVALID"],
      ["t", "<html>", mediaType.ociManifest, "400 MANIFEST_INVALID"],
      [sha("other"), good, mediaType.ociManifest, "400 DIGEST_INVALID"],
      ["t", `${good}${" ".repeat(4 << 20)}`, mediaType.ociManifest, "413 MANIFEST_INVALID"],
      ["-t", good, mediaType.ociManifest, "404 MANIFEST_UNKNOWN"],
    ];
    for (const [reference, body, type, expected] of cases)
      expect(await code(await putManifest("a", reference, body, type))).toBe(expected);
  });

  test("are deleted by digest with their tags, by tag alone, and come back", async () => {
    const digest = await pushImage("a", "one");
    await pushImage("a", "two");
    expect((await ask("DELETE", "/v2/a/manifests/one")).status).toBe(202);
    expect((await ask("GET", "/v2/a/manifests/two")).status).toBe(200);
    expect((await ask("DELETE", `/v2/a/manifests/${digest}`)).status).toBe(202);
    expect(await code(await ask("GET", "/v2/a/manifests/two"))).toBe("404 MANIFEST_UNKNOWN");
    expect(await code(await ask("DELETE", `/v2/a/manifests/${digest}`))).toBe("404 MANIFEST_UNKNOWN");
    expect(await pushImage("a", "two")).toBe(digest);
    expect((await ask("GET", "/v2/a/manifests/two")).status).toBe(200);
    const kept = await ask("DELETE", `/v2/a/manifests/${digest}`, { at: await serving({ deletes: false }) });
    expect(await code(kept)).toBe("405 UNSUPPORTED");
  });

  test("that refer to another are listed with it", async () => {
    const subject = await pushImage("a", "v1");
    const about = { mediaType: mediaType.ociManifest, digest: subject, size: 1 };
    const make = (artifactType: string) =>
      pushImage("a", artifactType, artifactType, { subject: about, artifactType });
    const signature = await make("signature");
    await make("sbom");
    const put = await putManifest("a", "x", imageOf(sha("{}"), [], { subject: about }));
    expect(put.headers.get("oci-subject")).toBe(subject);
    const list = async (query = "") => {
      const answer = await ask("GET", `/v2/a/referrers/${subject}${query}`);
      expect(answer.headers.get("content-type")).toBe(mediaType.ociIndex);
      const { manifests } = (await answer.json()) as {
        manifests: { artifactType: string; digest: string }[];
      };
      return { applied: answer.headers.get("oci-filters-applied"), manifests };
    };
    expect((await list()).manifests.map((each) => each.artifactType).sort()).toEqual([
      mediaType.ociConfig,
      "sbom",
      "signature",
    ]);
    const some = await list("?artifactType=signature");
    expect([some.applied, some.manifests.map((each) => each.digest)]).toEqual(["artifactType", [signature]]);
    await ask("DELETE", `/v2/a/manifests/${signature}`);
    expect((await list("?artifactType=signature")).manifests).toEqual([]);
    const none = await ask("GET", `/v2/a/referrers/${sha("nobody")}`);
    expect(await none.json()).toEqual({ schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: [] });
  });

  test("that a client listed in a tag are listed, too", async () => {
    const subject = await pushImage("a", "v1");
    const other = await pushImage("a", "v2", "other");
    const entry = { mediaType: mediaType.ociManifest, digest: other, size: 1, artifactType: "old" };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: [entry] });
    expect((await putManifest("a", subject.replace(":", "-"), index, mediaType.ociIndex)).status).toBe(201);
    const { manifests } = (await (await ask("GET", `/v2/a/referrers/${subject}`)).json()) as {
      manifests: unknown[];
    };
    expect(manifests).toEqual([entry]);
  });
});

describe("lists", () => {
  test("of tags and repositories come in pages with a bound", async () => {
    for (const tag of ["c", "a", "b"]) await pushImage("a", tag);
    await pushImage("a/b", "x");
    await pushImage("a-b", "x");
    await pushBlob("none", "x");
    const first = await ask("GET", "/v2/a/tags/list?n=2");
    expect(await first.json()).toEqual({ name: "a", tags: ["a", "b"] });
    expect(first.headers.get("link")).toBe('</v2/a/tags/list?n=2&last=b>; rel="next"');
    const second = await ask("GET", "/v2/a/tags/list?n=2&last=b");
    expect([second.headers.get("link"), await second.json()]).toEqual([null, { name: "a", tags: ["c"] }]);
    expect(await (await ask("GET", "/v2/a/tags/list?n=0")).json()).toEqual({ name: "a", tags: [] });
    const catalog = await ask("GET", "/v2/_catalog?n=2");
    expect(await catalog.json()).toEqual({ repositories: ["a", "a-b"] });
    expect(catalog.headers.get("link")).toBe('</v2/_catalog?n=2&last=a-b>; rel="next"');
    expect(await (await ask("GET", "/v2/_catalog?n=2&last=a-b")).json()).toEqual({ repositories: ["a/b"] });
    for (const n of ["1001", "-1", "x", "99999999999"])
      expect(await code(await ask("GET", `/v2/_catalog?n=${n}`))).toBe("400 PAGINATION_NUMBER_INVALID");
    expect(await code(await ask("GET", "/v2/nowhere/tags/list"))).toBe("404 NAME_UNKNOWN");
  });
});

test.each([
  ["GET", "/v2/UPPER/tags/list", "400 NAME_INVALID"],
  ["GET", "/v2/a%2f..%2fb/manifests/x", "400 NAME_INVALID"],
  ["GET", "/v2/_blobs/tags/list", "400 NAME_INVALID"],
  ["GET", `/v2/${"a".repeat(256)}/tags/list`, "400 NAME_INVALID"],
  ["GET", "/v2/a/blobs/sha256:00", "400 DIGEST_INVALID"],
  ["GET", "/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", "400 DIGEST_INVALID"],
  ["GET", "/v2/a/blobs/uploads/../../x", "404 UNSUPPORTED"],
  ["POST", "/v2/a/tags/list", "405 UNSUPPORTED"],
  ["PUT", "/v2/", "405 UNSUPPORTED"],
  ["GET", "/v1/search", "404 UNSUPPORTED"],
])("%s %s is %s", async (method, path, expected) => {
  expect(await code(await ask(method, path))).toBe(expected);
});

describe("the collector", () => {
  const later = (ms: number) => ({
    graceMs: 1000,
    uploadMs: 1000,
    nowMs: Date.now() + ms,
    signal: new AbortController().signal,
  });

  test("takes what nobody needs, once it is old enough", async () => {
    const digest = await pushImage("a", "v1", "needed");
    const spare = await pushBlob("a", "spare");
    await ask("PATCH", await beginUpload("a"), { body: "half" });
    await writeFile(join(root, "incoming/left-by-a-crash"), "x");
    expect(await collect(server.store, later(0))).toEqual({ blobs: 0, bytes: 0, links: 0, uploads: 0 });
    expect(await collect(server.store, later(5000))).toEqual({ blobs: 1, bytes: 5, links: 1, uploads: 1 });
    expect(await code(await ask("GET", `/v2/a/blobs/${spare}`))).toBe("404 BLOB_UNKNOWN");
    expect(await (await ask("GET", `/v2/a/blobs/${sha("needed")}`)).text()).toBe("needed");
    await ask("DELETE", `/v2/a/manifests/${digest}`);
    expect((await collect(server.store, later(5000))).blobs).toBe(3);
    expect(await names()).toEqual([]);
  });

  test("leaves what a push in flight looked for", async () => {
    const digest = parseDigest(await pushBlob("a", "x"));
    const old = new Date(Date.now() - 60_000);
    for (const key of [keys.blob(digest), keys.link("a", digest)]) await utimes(join(root, key), old, old);
    expect((await ask("HEAD", `/v2/a/blobs/${digest}`)).status).toBe(200);
    expect((await collect(server.store, { ...later(0), graceMs: 30_000 })).blobs).toBe(0);
    expect((await ask("GET", `/v2/a/blobs/${digest}`)).status).toBe(200);
  });

  test("gives back what was linked while it was taken away", async () => {
    const digest = parseDigest(await pushBlob("a", "x"));
    await server.store.depot.move(keys.blob(digest), keys.trash(digest));
    expect(await (await ask("GET", `/v2/a/blobs/${digest}`)).text()).toBe("x");
    const mounted = await ask("POST", `/v2/b/blobs/uploads/?mount=${digest}&from=a`);
    expect(mounted.status).toBe(201);
    expect(await server.store.depot.stat(keys.trash(digest))).toBeUndefined();
  });
});
