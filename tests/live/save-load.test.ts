/**
 * Images through archives: this engine's own, and those that skopeo and, where there is one to ask (WHERRY_TEST_PEER), another
 * engine write and read; the same ids and layers on the other side each time.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";
import type { Client } from "#client/client.ts";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";

const skopeo = Bun.which("skopeo");
const peer = process.env["WHERRY_TEST_PEER"];
let engine: EngineUnderTest;
let client: Client;

const wherry = async (...args: string[]): Promise<CliResult> => await engine.cli("wherry", args);
async function ok(result: Promise<CliResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  if (code !== 0) throw new Error(`exit ${code}: ${stdout}${stderr}`);
  return stdout;
}
const file = (name: string) => join(engine.directory, name);
const inspect = async (name: string) => {
  const { Id, RootFS } = await client.images.inspect(name);
  return { id: Id, layers: RootFS.Layers };
};

/** An image of one layer. */
async function importTar(name: string, files: Record<string, string>, platform?: string): Promise<void> {
  const tar = pack();
  for (const [path, text] of Object.entries(files)) tar.entry({ name: path }, text);
  tar.finalize();
  const [repo = "", tag = "latest"] = name.split(":");
  const o = { repo, tag, changes: [], platform };
  for await (const { error } of client.images.import(tar as AsyncIterable<Uint8Array>, o))
    expect(error).toBeUndefined();
}

async function archiveOf(files: Record<string, string | Buffer>): Promise<Buffer> {
  const tar = pack();
  for (const [name, bytes] of Object.entries(files)) tar.entry({ name }, bytes);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Every image, and nothing of them is left. */
async function removeAll(): Promise<void> {
  for (const { Id } of await client.images.list({ all: true }))
    await client.images.remove(Id, { force: true }).catch(() => undefined);
  expect(await client.images.list({ all: true })).toEqual([]);
  await client.builds.prune({ all: true });
  for (const place of ["layers/layers", "layers/incoming", "blobs/sha256", "spool"])
    expect(kept(place)).toEqual([]);
}
const kept = (name: string) => readdirSync(join(engine.directory, "data", name));

let app: { id: string; layers: string[] | undefined };

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
  mkdirSync(file("context"));
  writeFileSync(
    file("context/Dockerfile"),
    'FROM busybox\nRUN echo one > /one && rm -rf /tmp\nRUN ln -s /one /two && rm /one\nENV A=b\nCMD ["cat", "/etc/passwd"]\n',
  );
  await ok(wherry("build", "-q", "-t", "app:1", file("context")));
  app = await inspect("app:1");
}, 60_000);
afterAll(async () => await engine[Symbol.asyncDispose]());

describe("this engine's own archives", () => {
  test("several images, through a file and a pipe, plain and compressed", async () => {
    const busybox = await inspect("busybox");
    await ok(wherry("save", "-o", file("both.tar"), "app:1", "busybox"));
    const archive = readFileSync(file("both.tar"));
    await ok(wherry("save", "-o", file("again.tar"), "app:1", "busybox"));
    expect(readFileSync(file("again.tar")).equals(archive)).toBe(true);
    for (const [name, bytes] of Object.entries({
      plain: archive,
      gzip: gzipSync(archive, { level: 1 }),
      zstd: zstdCompressSync(archive),
    })) {
      await removeAll();
      writeFileSync(file(name), bytes);
      const loaded = await ok(wherry("load", "-i", file(name)));
      expect(loaded).toBe("Loaded image: app:1\nLoaded image: busybox:latest\n");
      expect([await inspect("app:1"), await inspect("busybox")]).toEqual([app, busybox]);
    }
    const ran = await wherry("run", "--rm", "app:1");
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining("root:x:0") });
  }, 60_000);

  test("over a pipe, by id, and what is not here", async () => {
    const child = engine.spawn("bash", [
      "-c",
      `"$0" save ${app.id} | "$0" load`,
      join(import.meta.dir, "../../bin/wherry"),
    ]);
    let output = "";
    child.stdout?.on("data", (part: Buffer) => {
      output += part.toString();
    });
    await new Promise((resolve) => child.once("close", resolve));
    expect(output).toBe(`Loaded image ID: ${app.id}\n`);
    expect(await wherry("save", "-o", file("none.tar"), "nothing:1")).toMatchObject({
      code: 1,
      stderr: "Error response from daemon: No such image: nothing:1\n",
    });
    expect(readdirSync(engine.directory).filter((name) => name.startsWith("none"))).toEqual([]);
  }, 30_000);
});

test.skipIf(skopeo === null)(
  "skopeo reads what is saved here, and what it writes loads here",
  async () => {
    await ok(wherry("save", "-o", file("app.tar"), "app:1"));
    const config = await ok(
      engine.cli("skopeo", ["inspect", "--config", "--raw", `docker-archive:${file("app.tar")}:app:1`]),
    );
    expect(`sha256:${createHash("sha256").update(config).digest("hex")}`).toBe(app.id);
    for (const to of [
      `docker-archive:${file("sk-docker.tar")}:app:1`,
      `oci-archive:${file("sk-oci.tar")}:docker.io/library/app:1`,
    ])
      await ok(engine.cli("skopeo", ["copy", "--quiet", `docker-archive:${file("app.tar")}:app:1`, to]));
    for (const name of ["sk-docker.tar", "sk-oci.tar"]) {
      await removeAll();
      expect(await ok(wherry("load", "-i", file(name)))).toBe("Loaded image: app:1\n");
      expect((await inspect("app:1")).layers).toEqual(app.layers!);
      if (name === "sk-docker.tar") expect((await inspect("app:1")).id).toBe(app.id);
    }
  },
  60_000,
);

test.skipIf(peer === undefined)(
  "another engine reads what is saved here, and what it saves loads here",
  async () => {
    const name = "wherry-save-load:1";
    await client.images.tag("app:1", "wherry-save-load", "1");
    await ok(wherry("save", "-o", file("to-peer.tar"), name));
    const there = async (...args: string[]) =>
      await ok(engine.cli("docker", args, { env: { DOCKER_HOST: peer ?? "" } }));
    try {
      expect(await there("load", "-i", file("to-peer.tar"))).toContain(`Loaded image: ${name}`);
      const seen = (await there("inspect", "-f", "{{.Id}} {{json .RootFS.Layers}}", name)).trim();
      const here = await inspect(name);
      expect(seen).toBe(`${here.id} ${JSON.stringify(here.layers)}`);
      await there("save", "-o", file("from-peer.tar"), name);
      await removeAll();
      await ok(wherry("load", "-i", file("from-peer.tar")));
      expect(await inspect(name)).toEqual(here);
    } finally {
      await there("rmi", name);
    }
  },
  60_000,
);

describe("several platforms", () => {
  test("are saved together and one by one, and loaded so", async () => {
    for (const arch of ["amd64", "arm64"]) await importTar(`many:${arch}`, { arch }, `linux/${arch}`);
    await ok(wherry("save", "-o", file("arm.tar"), "many:arm64"));
    expect(await ok(wherry("load", "--platform", "linux/arm64", "-i", file("arm.tar")))).toContain(
      "many:arm64",
    );
    const wrong = await wherry("load", "--platform", "linux/s390x", "-i", file("arm.tar"));
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining("no image for linux/s390x, only for linux/arm64"),
    ]);
    expect(
      (await wherry("save", "--platform", "linux/arm64", "-o", file("x.tar"), "many:amd64")).stderr,
    ).toContain("does not match the specified platform (linux/arm64)");
  }, 30_000);

  const variants = async (): Promise<(string | undefined)[]> => {
    const [image] = await client.images.list({
      filters: { reference: ["every"] },
      manifests: true,
    });
    return (image?.Manifests ?? []).map(({ ImageData }) => ImageData?.Platform.architecture).sort();
  };

  test("under one name are an index in the archive, as other programs have it", async () => {
    const files = new Map<string, string | Buffer>();
    const blob = (bytes: string | Buffer, mediaType: string) => {
      const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      files.set(`blobs/${digest.replace(":", "/")}`, bytes);
      return { mediaType, digest, size: Buffer.byteLength(bytes) };
    };
    const oci = (what: string) => `application/vnd.oci.image.${what}.v1+json`;
    const document = async (architecture: string) => {
      const layer = blob(
        await archiveOf({ [architecture]: architecture }),
        "application/vnd.oci.image.layer.v1.tar",
      );
      const rootfs = { type: "layers", diff_ids: [layer.digest] };
      const config = blob(JSON.stringify({ os: "linux", architecture, rootfs }), oci("config"));
      const manifest = { schemaVersion: 2, mediaType: oci("manifest"), config, layers: [layer] };
      return {
        ...blob(JSON.stringify(manifest), oci("manifest")),
        platform: { os: "linux", architecture },
      };
    };
    const manifests = await Promise.all(["s390x", "amd64", "arm64"].map(document));
    const inner = blob(
      JSON.stringify({ schemaVersion: 2, mediaType: oci("index"), manifests }),
      oci("index"),
    );
    const named = { ...inner, annotations: { "io.containerd.image.name": "docker.io/library/every:1" } };
    files.set("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
    files.set("index.json", JSON.stringify({ schemaVersion: 2, manifests: [named] }));
    writeFileSync(file("every.tar"), await archiveOf(Object.fromEntries(files)));

    const two = ["--platform", "linux/arm64,linux/amd64"];
    await ok(wherry("load", ...two, "-i", file("every.tar")));
    expect(await variants()).toEqual(["amd64", "arm64"]);
    const none = await wherry("load", ...two, "--platform", "linux/riscv64", "-i", file("every.tar"));
    expect(none.stderr).toContain(
      "no image for linux/riscv64, only for linux/s390x, linux/amd64, linux/arm64",
    );
    await ok(wherry("load", "-i", file("every.tar")));
    expect(await variants()).toEqual(["amd64", "arm64", "s390x"]);
    await ok(wherry("save", "-o", file("all.tar"), "every:1"));
    await ok(wherry("save", ...two, "-o", file("two.tar"), "every:1"));
    const there = skopeo === null ? "all.tar" : "there.tar";
    if (skopeo !== null) {
      const shown = await ok(engine.cli("skopeo", ["inspect", "--raw", `oci-archive:${file("two.tar")}`]));
      expect(JSON.parse(shown).manifests.map(({ platform }: { platform: object }) => platform)).toEqual([
        { architecture: "amd64", os: "linux" },
        { architecture: "arm64", os: "linux" },
      ]);
      const [from, to] = [`oci-archive:${file("all.tar")}`, `oci-archive:${file(there)}:every:1`];
      await ok(engine.cli("skopeo", ["copy", "--all", from, to]));
    }
    const ids = (await client.images.list({ manifests: true })).map(({ Id }) => Id);
    await ok(wherry("rmi", "every:1"));
    await ok(wherry("load", "-i", file("two.tar")));
    expect(await variants()).toEqual(["amd64", "arm64"]);
    await ok(wherry("load", "-i", file(there)));
    expect((await client.images.list({ manifests: true })).map(({ Id }) => Id)).toEqual(ids);
  }, 60_000);
});

describe("what is no archive of images", () => {
  const config = (diffIds: string[] = []) =>
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } });
  const manifest = (o: object) =>
    JSON.stringify([{ Config: "c.json", RepoTags: ["evil:1"], Layers: [], ...o }]);
  async function refusalOf(archive: Buffer): Promise<string> {
    async function* whole() {
      yield archive;
    }
    try {
      for await (const { error } of client.images.load(whole(), { quiet: true }))
        if (error !== undefined) return error;
    } catch (thrown) {
      return String(thrown);
    }
    return "";
  }
  const zeros = `sha256:${"0".repeat(64)}`;

  test("is refused with a reason, touches nothing outside and leaves nothing", async () => {
    const before = [kept("layers/layers"), kept("blobs/sha256")];
    const cases: [Record<string, string | Buffer> | Buffer, string][] = [
      [Buffer.from("hello"), "cut off"],
      [{ other: "x" }, "holds no images"],
      [{ "manifest.json": "{}" }, "manifest.json is wrong"],
      [{ "manifest.json": manifest({}) }, "lacks the config c.json"],
      [{ "manifest.json": manifest({}), "c.json": "[]" }, "the image's config is wrong"],
      [
        { "manifest.json": manifest({ Layers: ["l"] }), "c.json": config() },
        "has 1 layers, but its config speaks of 0",
      ],
      [{ "manifest.json": manifest({ Layers: ["l"] }), "c.json": config([zeros]) }, "lacks the layer l"],
      [
        {
          "manifest.json": manifest({ Layers: ["l"] }),
          "c.json": config([zeros]),
          l: await archiveOf({ a: "a" }),
        },
        "is really",
      ],
      [{ "manifest.json": manifest({ Config: "../../../etc/passwd" }) }, "lacks the config etc/passwd"],
      [
        { "manifest.json": manifest({ RepoTags: ["../UPPER"] }), "c.json": config() },
        "invalid reference format",
      ],
      [{ "manifest.json": `[{"Config":"c.json","Config":"d.json"}]` }, "twice"],
      [{ "index.json": JSON.stringify({ schemaVersion: 2, manifests: [], config: {} }) }, "wrong"],
      [
        {
          "index.json": JSON.stringify({
            schemaVersion: 2,
            manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest: zeros, size: 1 }],
          }),
          [`blobs/sha256/${"0".repeat(64)}`]: "{}",
        },
        "has another digest",
      ],
    ];
    for (const [files, message] of cases) {
      const archive = Buffer.isBuffer(files) ? files : await archiveOf(files);
      expect(await refusalOf(archive)).toContain(message);
    }
    expect([kept("layers/layers"), kept("blobs/sha256"), kept("layers/incoming"), kept("spool")]).toEqual([
      ...before,
      ...[[], []],
    ]);
  }, 60_000);
});
