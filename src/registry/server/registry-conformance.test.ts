/**
 * OCI distribution-spec 1.1, requirement by requirement: each row is a sentence of it with MUST or SHOULD, and a server that
 * keeps it. What goes beyond stands in registry-server.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileDepot } from "#registry/depot/depot-files.ts";
import { RegistryServer } from "./registry-server.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const configType = "application/vnd.oci.image.config.v1+json";
const emptyType = "application/vnd.oci.empty.v1+json";

let root: string;
let server: RegistryServer;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "wherry-conformance-"));
  server = new RegistryServer(
    await FileDepot.open(root),
    { access: { anonymousPull: false }, deletes: true, blobBytesMax: 1 << 20 },
    {
      answered: () => {},
      happened: () => {},
      failed: (error) => {
        throw error;
      },
    },
  );
});
afterAll(async () => await rm(root, { recursive: true }));

const sha = (text: string, algorithm = "sha256") =>
  `${algorithm}:${createHash(algorithm).update(text).digest("hex")}`;
const nowhere = sha("nowhere");

async function ask(method: string, path: string, body?: string, headers: Record<string, string> = {}) {
  return await server.answer(
    new Request(`http://registry${path}`, { method, headers, ...(body !== undefined && { body }) }),
  );
}

async function push(repository: string, text: string, algorithm = "sha256"): Promise<string> {
  const digest = sha(text, algorithm);
  const { status } = await ask("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, text);
  expect(status).toBe(201);
  return digest;
}

const begin = async (repository = "conf") =>
  (await ask("POST", `/v2/${repository}/blobs/uploads/`)).headers.get("location") ?? "";

function imageOf(config: string, more: object = {}): string {
  const about = { mediaType: configType, digest: config, size: 2 };
  return JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: about, layers: [], ...more });
}

async function put(repository: string, reference: string, manifest: string, type = manifestType) {
  return await ask("PUT", `/v2/${repository}/manifests/${reference}`, manifest, { "Content-Type": type });
}

async function image(repository: string, tag: string, more: object = {}): Promise<string> {
  const manifest = imageOf(await push(repository, "{}"), more);
  expect((await put(repository, tag, manifest)).status).toBe(201);
  return sha(manifest);
}

async function code(answer: Response): Promise<string> {
  const { errors } = (await answer.json()) as { errors: { code: string; message: string }[] };
  return errors[0]?.code ?? "";
}

type Rule = readonly [rule: string, keeps: () => Promise<void>];

function rules(of: string, all: readonly Rule[]): void {
  describe(of, () => {
    for (const [rule, keeps] of all) test(rule, keeps);
  });
}

rules("determining support", [
  ["end-1: GET /v2/ MUST be 200", async () => expect((await ask("GET", "/v2/")).status).toBe(200)],
]);

rules("pull", [
  [
    "end-3: an existing manifest MUST be 200, of its media type, whole",
    async () => {
      const digest = await image("conf", "pull");
      const got = await ask("GET", "/v2/conf/manifests/pull", undefined, { Accept: manifestType });
      expect([got.status, got.headers.get("content-type")]).toEqual([200, manifestType]);
      expect(sha(await got.text())).toBe(digest);
    },
  ],
  [
    "a Docker-Content-Digest that is sent MUST be of what is sent",
    async () => {
      const got = await ask("GET", `/v2/conf/manifests/${await image("conf", "pull")}`);
      expect(got.headers.get("docker-content-digest")).toBe(sha(await got.text()));
    },
  ],
  [
    "a manifest that is not there MUST be 404",
    async () => expect((await ask("GET", `/v2/conf/manifests/${nowhere}`)).status).toBe(404),
  ],
  [
    "end-2: an existing blob MUST be 200 with its bytes",
    async () => {
      const got = await ask("GET", `/v2/conf/blobs/${await push("conf", "blob")}`);
      expect([got.status, await got.text()]).toEqual([200, "blob"]);
    },
  ],
  [
    "a blob that is not there MUST be 404",
    async () => expect((await ask("GET", `/v2/conf/blobs/${nowhere}`)).status).toBe(404),
  ],
  [
    "ranges SHOULD be served",
    async () => {
      const headers = { Range: "bytes=1-2" };
      const got = await ask("GET", `/v2/conf/blobs/${await push("conf", "blob")}`, undefined, headers);
      expect([got.status, await got.text()]).toEqual([206, "lo"]);
    },
  ],
  [
    "HEAD of what is there MUST be 200 with its length, of what is not MUST be 404, without a body",
    async () => {
      await image("conf", "pull");
      const paths = [`/v2/conf/blobs/${await push("conf", "blob")}`, "/v2/conf/manifests/pull"];
      for (const path of paths) {
        const got = await ask("HEAD", path);
        expect([got.status, await got.text()]).toEqual([200, ""]);
        expect(Number(got.headers.get("content-length"))).toBeGreaterThan(0);
      }
      for (const path of [`/v2/conf/blobs/${nowhere}`, `/v2/conf/manifests/${nowhere}`])
        expect((await ask("HEAD", path)).status).toBe(404);
    },
  ],
]);

rules("push of blobs", [
  [
    "end-4a: POST MUST be 202 with a Location",
    async () => {
      const begun = await ask("POST", "/v2/conf/blobs/uploads/");
      expect([begun.status, begun.headers.get("location")?.startsWith("/v2/conf/blobs/uploads/")]).toEqual([
        202,
        true,
      ]);
    },
  ],
  [
    "end-6: POST then PUT MUST be 201 with the Location of the blob",
    async () => {
      const digest = sha("post then put");
      const done = await ask("PUT", `${await begin()}?digest=${digest}`, "post then put");
      expect([done.status, done.headers.get("location")]).toEqual([201, `/v2/conf/blobs/${digest}`]);
    },
  ],
  [
    "end-4b: a single POST MUST be 201, or 202 where it is not supported",
    async () => void (await push("conf", "single post")),
  ],
  [
    "end-5: chunks in order MUST be 202 with Location and Range, the end 201",
    async () => {
      const place = await begin();
      const first = await ask("PATCH", place, "01234", { "Content-Range": "0-4" });
      expect([first.status, first.headers.get("range"), first.headers.get("location")]).toEqual([
        202,
        "0-4",
        place,
      ]);
      const second = await ask("PATCH", place, "567", { "Content-Range": "5-7" });
      expect(second.headers.get("range")).toBe("0-7");
      const end = await ask("PUT", `${place}?digest=${sha("0123456789")}`, "89", { "Content-Range": "8-9" });
      expect(end.status).toBe(201);
    },
  ],
  [
    "a chunk out of order MUST be 416",
    async () => {
      const place = await begin();
      await ask("PATCH", place, "01", { "Content-Range": "0-1" });
      for (const range of ["3-4", "0-1"])
        expect((await ask("PATCH", place, "xy", { "Content-Range": range })).status).toBe(416);
    },
  ],
  [
    "end-13: GET of an upload MUST be 204 with Location and Range",
    async () => {
      const place = await begin();
      await ask("PATCH", place, "0123");
      const got = await ask("GET", place);
      expect([got.status, got.headers.get("range"), got.headers.get("location")]).toEqual([
        204,
        "0-3",
        place,
      ]);
    },
  ],
  [
    "a PATCH without Content-Range streams all of it",
    async () => {
      const place = await begin();
      expect((await ask("PATCH", place, "streamed")).status).toBe(202);
      expect((await ask("PUT", `${place}?digest=${sha("streamed")}`)).status).toBe(201);
    },
  ],
  [
    "end-14: a cancelled upload is gone",
    async () => {
      const place = await begin();
      expect((await ask("DELETE", place)).status).toBe(204);
      expect((await ask("GET", place)).status).toBe(404);
    },
  ],
  [
    "end-11: a mount of what is there MUST be 201 with a Location",
    async () => {
      const digest = await push("conf", "mounted");
      const done = await ask("POST", `/v2/other/blobs/uploads/?mount=${digest}&from=conf`);
      expect([done.status, done.headers.get("location")]).toEqual([201, `/v2/other/blobs/${digest}`]);
      expect((await ask("GET", `/v2/other/blobs/${digest}`)).status).toBe(200);
    },
  ],
  [
    "a mount of what is not there SHOULD be 202, an upload",
    async () => {
      const begun = await ask("POST", `/v2/other/blobs/uploads/?mount=${nowhere}&from=conf`);
      expect([begun.status, begun.headers.has("location")]).toEqual([202, true]);
    },
  ],
  [
    "a mount without `from` is an upload, too",
    async () => expect((await ask("POST", `/v2/other/blobs/uploads/?mount=${nowhere}`)).status).toBe(202),
  ],
  [
    "sha512 SHOULD be taken",
    async () => {
      const digest = await push("conf", "sha512", "sha512");
      expect(await (await ask("GET", `/v2/conf/blobs/${digest}`)).text()).toBe("sha512");
    },
  ],
  [
    "a digest that is not that of the bytes is DIGEST_INVALID",
    async () => {
      const done = await ask("PUT", `${await begin()}?digest=${nowhere}`, "x");
      expect([done.status, await code(done)]).toEqual([400, "DIGEST_INVALID"]);
    },
  ],
]);

rules("push of manifests", [
  [
    "end-7: MUST be 201 with a Location, byte for byte what was pushed",
    async () => {
      const manifest = `${imageOf(await push("conf", "{}"))}\n `;
      const done = await put("conf", "exact", manifest);
      expect([done.status, done.headers.get("location")]).toEqual([
        201,
        `/v2/conf/manifests/${sha(manifest)}`,
      ]);
      expect(await (await ask("GET", "/v2/conf/manifests/exact")).text()).toBe(manifest);
    },
  ],
  [
    "by digest MUST be checked",
    async () => {
      const manifest = imageOf(await push("conf", "{}"));
      expect((await put("conf", sha(manifest, "sha512"), manifest)).status).toBe(201);
      expect(await code(await put("conf", nowhere, manifest))).toBe("DIGEST_INVALID");
    },
  ],
  [
    "a blob that is not there MAY be refused: MANIFEST_BLOB_UNKNOWN",
    async () => expect(await code(await put("conf", "x", imageOf(nowhere)))).toBe("MANIFEST_BLOB_UNKNOWN"),
  ],
  [
    "a `subject` that is not there MUST be taken, and told of by OCI-Subject",
    async () => {
      const subject = { mediaType: manifestType, digest: nowhere, size: 1 };
      const done = await put("conf", "about", imageOf(await push("conf", "{}"), { subject }));
      expect([done.status, done.headers.get("oci-subject")]).toEqual([201, nowhere]);
    },
  ],
  [
    "an artifact manifest with the empty config must say its type",
    async () => {
      const config = { mediaType: emptyType, digest: await push("conf", "{}"), size: 2 };
      expect((await put("conf", "y", imageOf("", { config }))).status).toBe(400);
      expect((await put("conf", "y", imageOf("", { config, artifactType: "text/x" }))).status).toBe(201);
    },
  ],
  [
    "an index of manifests that are there MUST be taken",
    async () => {
      const about = { mediaType: manifestType, digest: await image("conf", "one"), size: 1 };
      const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [about] });
      expect((await put("conf", "all", index, indexType)).status).toBe(201);
      expect((await ask("GET", "/v2/conf/manifests/all")).headers.get("content-type")).toBe(indexType);
    },
  ],
]);

rules("content discovery", [
  [
    "end-8a: tags MUST be in lexical order",
    async () => {
      for (const tag of ["b", "a", "B", "1"]) await image("tags", tag);
      expect(await (await ask("GET", "/v2/tags/tags/list")).json()).toEqual({
        name: "tags",
        tags: ["1", "B", "a", "b"],
      });
    },
  ],
  [
    "end-8b: n and last MUST bound the page, whose Link leads on",
    async () => {
      const page = await ask("GET", "/v2/tags/tags/list?n=2&last=1");
      expect(await page.json()).toEqual({ name: "tags", tags: ["B", "a"] });
      const [, next = ""] = /<(.*)>; rel="next"/.exec(page.headers.get("link") ?? "") ?? [];
      const last = await ask("GET", next);
      expect([await last.json(), last.headers.get("link")]).toEqual([{ name: "tags", tags: ["b"] }, null]);
    },
  ],
  [
    "n=0 MUST be an empty list without a Link",
    async () => {
      const page = await ask("GET", "/v2/tags/tags/list?n=0");
      expect([await page.json(), page.headers.get("link")]).toEqual([{ name: "tags", tags: [] }, null]);
    },
  ],
  [
    "a repository that is not there is 404",
    async () => expect((await ask("GET", "/v2/nosuch/tags/list")).status).toBe(404),
  ],
  [
    "end-12a: referrers MUST be 200 with an index, also of what is not there",
    async () => {
      const got = await ask("GET", `/v2/refs/referrers/${nowhere}`);
      expect([got.status, got.headers.get("content-type")]).toEqual([200, indexType]);
      expect(await got.json()).toEqual({ schemaVersion: 2, mediaType: indexType, manifests: [] });
    },
  ],
  [
    "each referrer MUST have its artifactType (that of the config when it says none) and its annotations",
    async () => {
      const subject = { mediaType: manifestType, digest: await image("refs", "subject"), size: 1 };
      await image("refs", "plain", { subject });
      await image("refs", "typed", { subject, artifactType: "text/sbom", annotations: { k: "v" } });
      const got = (await (await ask("GET", `/v2/refs/referrers/${subject.digest}`)).json()) as {
        manifests: { artifactType: string; annotations?: object; size: number; mediaType: string }[];
      };
      const about = got.manifests.map(({ artifactType, annotations }) => ({ artifactType, annotations }));
      expect(about).toContainEqual({ artifactType: configType, annotations: undefined });
      expect(about).toContainEqual({ artifactType: "text/sbom", annotations: { k: "v" } });
      for (const each of got.manifests) expect([each.mediaType, each.size > 1]).toEqual([manifestType, true]);
    },
  ],
  [
    "end-12b: a filter that was applied MUST be named",
    async () => {
      const subject = await image("refs", "subject");
      const got = await ask("GET", `/v2/refs/referrers/${subject}?artifactType=text/sbom`);
      expect(got.headers.get("oci-filters-applied")).toBe("artifactType");
      const { manifests } = (await got.json()) as { manifests: unknown[] };
      expect(manifests.length).toBe(1);
    },
  ],
  [
    "the referrers tag MUST be read where a client wrote it",
    async () => {
      const entry = {
        mediaType: manifestType,
        digest: await image("refs", "lone"),
        size: 1,
        artifactType: "t",
      };
      const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [entry] });
      expect((await put("refs", nowhere.replace(":", "-"), index, indexType)).status).toBe(201);
      const got = (await (await ask("GET", `/v2/refs/referrers/${nowhere}`)).json()) as {
        manifests: unknown[];
      };
      expect(got.manifests).toEqual([entry]);
    },
  ],
]);

rules("content management", [
  [
    "end-9: a deleted tag MUST be 202, then 404, and its manifest stays",
    async () => {
      const digest = await image("del", "gone");
      expect((await ask("DELETE", "/v2/del/manifests/gone")).status).toBe(202);
      expect((await ask("GET", "/v2/del/manifests/gone")).status).toBe(404);
      expect((await ask("GET", `/v2/del/manifests/${digest}`)).status).toBe(200);
    },
  ],
  [
    "a deleted manifest MUST be 202, then 404, by tag, too",
    async () => {
      const digest = await image("del", "all");
      expect((await ask("DELETE", `/v2/del/manifests/${digest}`)).status).toBe(202);
      for (const reference of [digest, "all"])
        expect((await ask("GET", `/v2/del/manifests/${reference}`)).status).toBe(404);
    },
  ],
  [
    "end-10: a deleted blob MUST be 202, then 404",
    async () => {
      const digest = await push("del", "deleted");
      expect((await ask("DELETE", `/v2/del/blobs/${digest}`)).status).toBe(202);
      for (const method of ["GET", "DELETE"])
        expect((await ask(method, `/v2/del/blobs/${digest}`)).status).toBe(404);
    },
  ],
]);

rules("errors", [
  [
    "a 4XX MUST have errors with code and message, codes in capitals and underscores",
    async () => {
      const answers = [
        await ask("GET", "/v2/UPPER/tags/list"),
        await ask("GET", `/v2/conf/blobs/${nowhere}`),
        await ask("GET", "/v2/conf/blobs/sha256:short"),
        await ask("GET", "/v2/conf/tags/list?n=x"),
        await ask("PUT", "/v2/"),
      ];
      for (const answer of answers) {
        expect(answer.headers.get("content-type")).toStartWith("application/json");
        expect(await code(answer)).toMatch(/^[A-Z_]+$/);
      }
    },
  ],
]);
