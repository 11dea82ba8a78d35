/** Caches that builds leave for others, in registries, directories and images, and what is believed of them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildContext } from "./build-context.ts";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";
import { type Descriptor, type Index, Layout, type Manifest } from "./layouts.ts";
import { ServedRegistry } from "./served-registry.ts";

/** One builds, the other has nothing but what the first left. */
let one: EngineUnderTest;
let other: EngineUnderTest;
let registry: ServedRegistry;
beforeAll(async () => {
  one = await EngineUnderTest.start();
  other = await EngineUnderTest.startBeside(one);
  for (const engine of [one, other]) await engine.importBusybox();
  // The same base: `import` writes the time into its config, but its layers are what counts.
  registry = await ServedRegistry.start(["--root", join(one.directory, "registry")], { netns: one.netns });
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await one[Symbol.asyncDispose]();
});

const configType = "application/vnd.buildkit.cacheconfig.v0";
const place = (name: string): string => join(one.directory, name);

const context = (name: string, files: Readonly<Record<string, string>>): string =>
  buildContext(place(name), files);

async function build(engine: EngineUnderTest, ...args: string[]): Promise<string> {
  const { code, stderr } = await engine.cli("wherry", ["build", ...args]);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${code}\n${stderr}`);
  return stderr;
}

const cached = (stderr: string, step: string): boolean =>
  new RegExp(`^#(\\d+) \\[[^\\]]*\\] ${step}\\n#\\1 CACHED$`, "m").test(stderr);

async function said(engine: EngineUnderTest, image: string): Promise<string> {
  const result: CliResult = await engine.cli("wherry", ["run", "--rm", image, "cat", "/made"]);
  return result.stdout;
}

/** What it makes is new whenever it is made. */
const stages = (word: string, run = word) => ({
  Dockerfile: [
    "FROM busybox AS build",
    `RUN cat /proc/sys/kernel/random/uuid >/made # ${run}`,
    "RUN echo unneeded >/unneeded",
    "FROM busybox",
    "COPY word /word",
    "COPY --from=build /made /made",
  ].join("\n"),
  word,
});

describe("a cache", () => {
  test("in an image: the steps of its own stage, fetched when they are wanted", async () => {
    const name = `${registry.host}/inline`;
    const directory = context("inline", {
      Dockerfile: "FROM busybox\nCOPY a /a\nRUN cat /proc/sys/kernel/random/uuid >/made\n",
      a: "a",
    });
    await build(one, "-t", name, "--push", "--cache-to", "type=inline", directory);
    const stderr = await build(other, "-t", "again", "--cache-from", name, directory);
    expect(stderr).toContain(`importing cache manifest from ${name}:latest`);
    expect(stderr).toContain(`fetching cached layers from ${name}:latest`);
    expect([cached(stderr, "COPY a /a"), cached(stderr, "RUN cat [^\\n]*")]).toEqual([true, true]);
    expect(await said(other, "again")).toBe(await said(one, name));
    // The image itself was not pulled.
    expect((await other.cli("wherry", ["image", "inspect", name])).code).toBe(1);
    const client = await one.client();
    const manifest = JSON.parse((await client.images.distribution(name)).Manifest ?? "") as Manifest;
    expect(manifest.layers.length).toBeGreaterThan(2);
  });

  test("in a registry: of the result's stage, or of all", async () => {
    const name = `${registry.host}/kept`;
    const first = context("kept", stages("one"));
    await build(one, "-t", "kept", "--cache-to", `type=registry,ref=${name}:min`, first);
    const answer = place("kept.json");
    const all = `type=registry,ref=${name}:max,mode=max,image-manifest=true,compression=zstd`;
    const told = await build(one, "-t", "kept", "--metadata-file", answer, "--cache-to", all, first);
    expect(told).toMatch(
      /exporting cache to registry\n(?:#.*\n)*#\d+ writing cache manifest sha256:\w+ done/,
    );
    const client = await one.client();
    const manifestOf = async (tag: string) =>
      JSON.parse((await client.images.distribution(`${name}:${tag}`)).Manifest ?? "") as Manifest & Index;
    const [min, max] = [await manifestOf("min"), await manifestOf("max")];
    expect(min.mediaType).toBe("application/vnd.oci.image.index.v1+json");
    expect(min.manifests.filter(({ mediaType }) => mediaType === configType)).toHaveLength(1);
    expect(max.config.mediaType).toBe(configType);
    expect(max.layers.length).toBeGreaterThan(min.manifests.length - 1);
    expect(new Set(max.layers.map(({ mediaType }) => mediaType))).toEqual(
      new Set(["application/vnd.oci.image.layer.v1.tar+zstd"]),
    );
    // One that has all of its steps needs nothing of other stages; one that changed needs them.
    const same = await build(other, "-t", "same", "--cache-from", `${name}:min`, first);
    expect(cached(same, "COPY --from=build /made /made")).toBe(true);
    expect(await said(other, "same")).toBe(await said(one, "kept"));
    const second = context("kept2", stages("two", "one"));
    const changed = await build(
      other,
      "-t",
      "changed",
      "--cache-from",
      `type=registry,ref=${name}:max`,
      second,
    );
    expect(cached(changed, "RUN cat [^\\n]*")).toBe(true);
    expect(cached(changed, "COPY word /word")).toBe(false);
    expect(await said(other, "changed")).toBe(await said(one, "kept"));
  });

  test("in a directory, where the next build finds it; what is not there is passed over", async () => {
    const directory = context("local", stages("local"));
    const cache = place("cache");
    const none = await build(other, "--cache-from", `type=local,src=${cache}`, context("small", small));
    expect(none).toContain(`local cache import at ${cache} skipped`);
    await build(one, "-t", "local", "--cache-to", `type=local,dest=${cache},mode=max`, directory);
    const layout = new Layout(cache);
    const [top, ...more] = layout.index.manifests;
    expect([more.length, top?.annotations?.["org.opencontainers.image.ref.name"]]).toEqual([0, "latest"]);
    if (top === undefined) throw new Error("nothing is listed");
    const { manifests } = layout.json<Index>(top);
    for (const each of manifests) layout.blob(each);
    const stderr = await build(other, "-t", "local", "--cache-from", `type=local,src=${cache}`, directory);
    expect(cached(stderr, "COPY --from=build /made /made")).toBe(true);
    expect(await said(other, "local")).toBe(await said(one, "local"));
  });

  test("that lies is not believed", async () => {
    const directory = context("lies", stages("lies"));
    await build(one, "-t", "lies", "--cache-to", `type=local,dest=${place("true")},mode=max`, directory);
    const read = (from: string) => {
      const layout = new Layout(from);
      const [top] = layout.index.manifests;
      if (top === undefined) throw new Error("nothing is listed");
      const index = layout.json<Index>(top);
      const config = index.manifests.find(({ mediaType }) => mediaType === configType);
      if (config === undefined) throw new Error("there is no config");
      return { index, config: layout.json<CacheConfig>(config) };
    };
    /** The true cache, told otherwise. */
    const lie = (name: string, change: (lied: Lied) => void): string => {
      const [directory, { index, config }] = [place(name), read(place("true"))];
      cpSync(place("true"), directory, { recursive: true });
      const put = (mediaType: string, bytes: Buffer, as?: string): Descriptor => {
        const digest = as ?? `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
        writeFileSync(join(directory, "blobs", digest.replace(":", "/")), bytes);
        return { mediaType, digest, size: bytes.length };
      };
      const blobs = index.manifests.filter(({ mediaType }) => mediaType !== configType);
      const lied = { config, blobs: [...blobs], put };
      change(lied);
      const json = (value: unknown) => Buffer.from(JSON.stringify(value));
      const manifests = [...lied.blobs, put(configType, json(lied.config))];
      const top = put(index.mediaType, json({ ...index, manifests }));
      const annotations = { "org.opencontainers.image.ref.name": "latest" };
      writeFileSync(
        join(directory, "index.json"),
        json({ schemaVersion: 2, manifests: [{ ...top, annotations }] }),
      );
      return directory;
    };
    const evil = Buffer.from(readFileSync("/bin/busybox"));
    const lies: [string, (lied: Lied) => void, string | undefined][] = [
      // Other bytes under the name of a layer.
      [
        "swapped",
        ({ blobs, put }) =>
          blobs.forEach(({ mediaType, digest }) => void put(mediaType, gzipSync(evil), digest)),
        "ERROR",
      ],
      // Another layer, called what the step's is.
      [
        "foreign",
        ({ config, blobs, put }) => {
          const foreign = put("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(evil));
          blobs.push(foreign);
          config.layers = config.layers.map((layer) => ({ ...layer, blob: foreign.digest }));
        },
        "ERROR",
      ],
      // Results that stand on nothing of what the steps stand on.
      [
        "uprooted",
        ({ config }) => {
          config.layers = config.layers.map((layer, at) => (at === 0 ? layer : { ...layer, parent: -1 }));
        },
        undefined,
      ],
      [
        "circles",
        ({ config }) => {
          config.layers = config.layers.map((layer, at) => ({ ...layer, parent: at }));
        },
        undefined,
      ],
      [
        "garbage",
        (lied) => {
          lied.config = { layers: "many" } as unknown as CacheConfig;
        },
        "ERROR",
      ],
    ];
    for (const [name, change, error] of lies) {
      const cache = lie(name, change);
      const stderr = await build(other, "-t", name, "--cache-from", `type=local,src=${cache}`, directory);
      expect([name, cached(stderr, "RUN cat [^\\n]*")]).toEqual([name, false]);
      if (error !== undefined) expect([name, stderr]).toEqual([name, expect.stringContaining(error)]);
      expect(await said(other, name)).toMatch(/^[0-9a-f-]{36}\n$/);
      await other.cli("wherry", ["builder", "prune", "-af"]);
    }
  }, 90_000);

  test("what cannot be honoured is refused by name", async () => {
    const directory = context("small", small);
    for (const [flag, value, why] of [
      ["--cache-to", "type=s3,bucket=x", 'cache exporter "s3" could not be found'],
      ["--cache-from", "type=gha", 'cache importer "gha" could not be found'],
    ] as const) {
      const { code, stderr } = await one.cli("wherry", ["build", flag, value, directory]);
      expect([value, code, stderr]).toEqual([value, 1, expect.stringContaining(why)]);
    }
    const ignored = `type=registry,ref=127.0.0.1:1/none,ignore-error=true`;
    expect(await build(one, "--cache-to", ignored, directory)).toContain("exporting cache to registry");
  });
});

const small = { Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" };

interface CacheConfig {
  layers: { blob: string; parent?: number }[];
  records: unknown[];
}

interface Lied {
  config: CacheConfig;
  blobs: Descriptor[];
  readonly put: (mediaType: string, bytes: Buffer, as?: string) => Descriptor;
}

if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx plugin on this machine", () => undefined);
else
  test("docker build --cache-to and --cache-from", async () => {
    const [first, second] = [new BuildxUnderTest(one), new BuildxUnderTest(other)];
    const directory = context("buildx", stages("buildx"));
    const name = `${registry.host}/buildx`;
    const made = place("buildx-cache");
    const to = [`type=local,dest=${made},mode=max`, `type=registry,ref=${name},mode=max`];
    const flags = (flag: string, values: string[]) => values.flatMap((value) => [flag, value]);
    const ok = await first.build("-t", "buildx", ...flags("--cache-to", to), directory);
    expect([ok.code, ok.stderr]).toEqual([0, expect.stringContaining("exporting cache to client directory")]);
    for (const from of [`type=local,src=${made}`, `type=registry,ref=${name}`]) {
      const { stderr } = await second.build("-t", "buildx", "--cache-from", from, directory);
      expect([from, cached(stderr, "COPY --from=build /made /made")]).toEqual([from, true]);
      expect(await said(other, "buildx")).toBe(await said(one, "buildx"));
      await other.cli("wherry", ["rmi", "buildx"]);
      await other.cli("wherry", ["builder", "prune", "-af"]);
    }
  });
