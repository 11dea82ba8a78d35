/** Every form of archive that skopeo knows, in both directions: the same layers each time, the same id where the form keeps it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineUnderTest } from "./engine-under-test.ts";

const skopeo = Bun.which("skopeo");
let engine: EngineUnderTest;
/** Ids and layers of the two images, by tag. */
let made: Record<string, { id: string; layers: readonly string[] }>;
const file = (name: string) => join(engine.directory, name);

async function ok(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.cli(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit ${code}: ${stdout}${stderr}`);
  return stdout;
}
const copy = async (...args: string[]) => await ok("skopeo", "copy", "--quiet", ...args);

async function seen(name: string): Promise<{ id: string; layers: readonly string[] }> {
  const { Id, RootFS } = await (await engine.client()).images.inspect(name);
  return { id: Id, layers: RootFS.Layers ?? [] };
}

async function removeAll(): Promise<void> {
  const { images } = await engine.client();
  for (const { Id } of await images.list({})) await images.remove(Id, { force: true });
}

beforeAll(async () => {
  if (skopeo === null) return;
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  mkdirSync(file("context"));
  for (const tag of ["1", "2"]) {
    const text = `FROM busybox\nRUN echo ${tag} > /which && ln /which /same\nENV TAG=${tag}\nCOPY Dockerfile /\n`;
    writeFileSync(file("context/Dockerfile"), text);
    await ok("wherry", "build", "-q", "-t", `app:${tag}`, file("context"));
  }
  made = { "1": await seen("app:1"), "2": await seen("app:2") };
  await ok("wherry", "save", "-o", file("one.tar"), "app:1");
  await ok("wherry", "save", "-o", file("both.tar"), "app:1", "app:2");
}, 60_000);
afterAll(async () => await engine?.[Symbol.asyncDispose]());

describe.skipIf(skopeo === null)("what skopeo writes loads here", () => {
  const name = "docker.io/library/app:1";
  /** What it writes, with what it is told beside; true where the config stays as it was. */
  const forms: readonly [string, string, readonly string[], boolean][] = [
    ["docker-archive", `:${name}`, [], true],
    ["docker-archive", `:${name}`, ["--format", "v2s2"], true],
    ["oci-archive", `:${name}`, [], false],
    ["oci-archive", `:${name}`, ["--dest-compress-format", "gzip"], false],
    ["oci-archive", `:${name}`, ["--dest-compress-format", "zstd"], false],
    ["oci-archive", `:${name}`, ["--dest-oci-accept-uncompressed-layers"], false],
  ];
  for (const [kind, behind, options, keepsId] of forms)
    test([kind, ...options].join(" "), async () => {
      const path = file(`${kind}-${options.join("")}.tar`);
      await copy(...options, `docker-archive:${file("one.tar")}:${name}`, `${kind}:${path}${behind}`);
      await removeAll();
      expect(await ok("wherry", "load", "-i", path)).toBe("Loaded image: app:1\n");
      const { id, layers } = await seen("app:1");
      expect(layers).toEqual(made["1"]!.layers);
      if (keepsId) expect(id).toBe(made["1"]!.id);
      expect(await ok("wherry", "run", "--rm", "--network", "none", "app:1", "cat", "/same")).toBe("1\n");
    }, 30_000);

  test("a layout in a directory, as a tar, and two images in one", async () => {
    for (const tag of ["1", "2"])
      await copy(
        `docker-archive:${file("both.tar")}:app:${tag}`,
        `oci:${file("layout")}:docker.io/library/app:${tag}`,
      );
    await ok("tar", "-C", file("layout"), "-cf", file("layout.tar"), ".");
    await removeAll();
    expect((await ok("wherry", "load", "-i", file("layout.tar"))).split("\n").sort()).toEqual([
      "",
      "Loaded image: app:1",
      "Loaded image: app:2",
    ]);
    for (const tag of ["1", "2"]) expect((await seen(`app:${tag}`)).layers).toEqual(made[tag]!.layers);
  }, 30_000);
});

describe.skipIf(skopeo === null)("skopeo reads what is saved here", () => {
  const digestOf = (bytes: Uint8Array | string) =>
    `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  /** How it is named in an archive of both. */
  const forms: readonly [string, (tag: string) => string][] = [
    ["docker-archive by name", (tag) => `docker-archive:${file("both.tar")}:app:${tag}`],
    ["docker-archive by number", (tag) => `docker-archive:${file("both.tar")}:@${Number(tag) - 1}`],
    ["oci-archive", (tag) => `oci-archive:${file("both.tar")}:${tag}`],
    ["oci", (tag) => `oci:${file("unpacked")}:${tag}`],
  ];
  beforeAll(async () => {
    mkdirSync(file("unpacked"));
    await ok("tar", "-C", file("unpacked"), "-xf", file("both.tar"));
  });

  for (const [form, source] of forms)
    test(form, async () => {
      for (const tag of ["1", "2"]) {
        const config = await ok("skopeo", "inspect", "--config", "--raw", source(tag));
        expect(digestOf(config)).toBe(made[tag]!.id);
        const out = file(`${form}-${tag}`);
        await copy("--dest-decompress", source(tag), `dir:${out}`);
        const { layers } = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8"));
        expect(layers.map(({ digest }: { digest: string }) => digest)).toEqual(made[tag]!.layers);
        for (const digest of made[tag]!.layers)
          expect(digestOf(readFileSync(join(out, digest.slice("sha256:".length))))).toBe(digest);
      }
    }, 30_000);
});

test.skipIf(skopeo === null)(
  "skopeo talks to the engine as to Docker's, both ways",
  async () => {
    await removeAll();
    const daemon = (name: string) => `docker-daemon:${name}`;
    const host = ["--dest-daemon-host", engine.host];
    await copy(...host, `docker-archive:${file("one.tar")}:app:1`, daemon("app:1"));
    expect(await seen("app:1")).toEqual(made["1"]!);
    const back = `docker-archive:${file("back.tar")}:app:1`;
    await copy("--src-daemon-host", engine.host, daemon("app:1"), back);
    const config = await ok("skopeo", "inspect", "--config", "--raw", back);
    expect(createHash("sha256").update(config).digest("hex")).toBe(made["1"]!.id.slice("sha256:".length));
  },
  30_000,
);
