/** What a build comes out as: archives and layouts of images, in every form of layer, with names and annotations. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { buildContext } from "./build-context.ts";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";
import { type Index, Layout, type Manifest } from "./layouts.ts";
import { ServedRegistry } from "./served-registry.ts";

let engine: EngineUnderTest;
let registry: ServedRegistry;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  registry = await ServedRegistry.start(["--root", join(engine.directory, "registry")], {
    netns: engine.netns,
  });
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const own = process.arch === "arm64" ? "linux/arm64" : "linux/amd64";
const other = process.arch === "arm64" ? "linux/amd64" : "linux/arm64";
const place = (name: string): string => join(engine.directory, name);

const context = (name: string, files: Readonly<Record<string, string>>): string =>
  buildContext(place(name), files);

const plain = { Dockerfile: "FROM busybox\nCOPY a /a\nRUN echo b >/b\nCMD cat /a /b\n", a: "a\n" };
const apart = {
  Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n",
  "amd64/x": "1",
  "arm64/x": "2",
};

async function wherry(...args: string[]): Promise<CliResult> {
  const result = await engine.cli("wherry", args);
  if (result.code !== 0)
    throw new Error(`${args.join(" ")}: ${result.code}\n${result.stdout}${result.stderr}`);
  return result;
}

function onlyManifest(layout: Layout): Manifest {
  const [top, ...more] = layout.index.manifests;
  if (top === undefined || more.length > 0) throw new Error("one entry was expected");
  const manifest = layout.json<Manifest>(top);
  layout.checkLayers(manifest);
  return manifest;
}

describe("wherry build -o", () => {
  test("type=oci is an archive of a layout in OCI's words, which loads", async () => {
    const metadata = place("oci.json");
    const output = `type=oci,dest=${place("oci.tar")}`;
    const directory = context("plain", plain);
    await wherry("build", "-t", "out:1", "-o", output, "--metadata-file", metadata, directory);
    const layout = await Layout.ofArchive(place("oci.tar"));
    expect(existsSync(join(layout.directory, "manifest.json"))).toBe(false);
    const [top] = layout.index.manifests;
    expect(top?.annotations).toMatchObject({
      "io.containerd.image.name": "docker.io/library/out:1",
      "org.opencontainers.image.ref.name": "1",
    });
    const manifest = onlyManifest(layout);
    expect(manifest.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
    expect(manifest.layers.at(-1)?.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
    const told = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, unknown>;
    expect(told).toMatchObject({
      "containerimage.digest": top?.digest,
      "containerimage.config.digest": manifest.config.digest,
      "containerimage.descriptor": { digest: top?.digest, size: top?.size },
      "image.name": "docker.io/library/out:1",
    });
    // Nothing of it is in the store.
    expect((await engine.cli("wherry", ["image", "inspect", "out:1"])).code).toBe(1);
    expect((await wherry("load", "-i", place("oci.tar"))).stdout).toContain("Loaded image: out:1");
    expect((await wherry("run", "--rm", "out:1")).stdout).toBe("a\nb\n");
    await wherry("rmi", "out:1");
  });

  test("type=docker is what docker load takes, on stdout too", async () => {
    const directory = context("plain", plain);
    const script = `"$@" > ${place("docker.tar")}`;
    const args = ["build", "-q", "-t", "out:2", "-t", "out:3", "-o", "type=docker,dest=-", directory];
    const piped = Bun.spawn(
      ["sh", "-c", script, "sh", process.execPath, join(import.meta.dir, "../../src/bin/wherry.ts"), ...args],
      { env: { ...process.env, DOCKER_HOST: engine.host }, stdout: "ignore", stderr: "inherit" },
    );
    expect(await piped.exited).toBe(0);
    const layout = await Layout.ofArchive(place("docker.tar"));
    const listed = JSON.parse(layout.file("manifest.json").toString()) as {
      Config: string;
      RepoTags: string[];
      Layers: string[];
    }[];
    expect(listed[0]?.RepoTags).toEqual(["out:2", "out:3"]);
    expect(layout.index.manifests).toHaveLength(2);
    await wherry("load", "-i", place("docker.tar"));
    expect((await wherry("run", "--rm", "out:3")).stdout).toBe("a\nb\n");
    await wherry("rmi", "out:2", "out:3");
    const several = ["--platform", `${own},${other}`, "-o", `type=docker,dest=${place("x.tar")}`];
    const refused = await engine.cli("wherry", ["build", ...several, context("apart", apart)]);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("docker exporter does not currently support exporting manifest lists"),
    ]);
  });

  test("layers are zstd or plain when that is asked for, and the same each time", async () => {
    const directory = context("apart", apart);
    for (const [words, type] of [
      ["compression=zstd", "application/vnd.oci.image.layer.v1.tar+zstd"],
      ["compression=uncompressed,oci-mediatypes=false", "application/vnd.docker.image.rootfs.diff.tar"],
    ]) {
      const digests: string[] = [];
      for (const path of [place("one.tar"), place("two.tar")]) {
        await wherry("build", "-o", `type=oci,dest=${path},${words}`, directory);
        const layout = await Layout.ofArchive(path);
        const manifest = onlyManifest(layout);
        expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual(
          manifest.layers.map(() => type ?? ""),
        );
        digests.push(layout.index.manifests[0]?.digest ?? "");
      }
      expect(digests[0]).toBe(digests[1] ?? "");
    }
  });

  test("an index of platforms in a directory that is a layout, added to what is there", async () => {
    const directory = context("apart", apart);
    const output = `type=oci,tar=false,dest=${place("layout")}`;
    await wherry("build", "--platform", `${own},${other}`, "-t", "apart:1", "-o", output, directory);
    const layout = new Layout(place("layout"));
    const [top] = layout.index.manifests;
    if (top === undefined) throw new Error("nothing is listed");
    const index = layout.json<Index>(top);
    const contents: string[] = [];
    for (const each of index.manifests) {
      const manifest = layout.json<Manifest>(each);
      layout.checkLayers(manifest);
      const [layer] = manifest.layers;
      if (layer === undefined) throw new Error("no layer");
      const tar = gunzipSync(layout.blob(layer)).toString("latin1");
      contents.push(`${each.platform?.architecture} ${tar.slice(512, 513)}`);
    }
    expect(contents.sort()).toEqual(["amd64 1", "arm64 2"]);
    // Blobs that are there are not sent again; another name is added, the same one replaced.
    for (const tag of ["apart:1", "apart:2"])
      await wherry("build", "--platform", `${own},${other}`, "-t", tag, "-o", output, directory);
    expect(
      layout.index.manifests.map(({ annotations }) => annotations?.["io.containerd.image.name"]),
    ).toEqual(["docker.io/library/apart:1", "docker.io/library/apart:2"]);
  });

  test("annotations go where they are wanted, into archives and with a push", async () => {
    const directory = context("apart", apart);
    const annotations = [
      ["org.example.all=x"],
      [`manifest[${other}]:org.example.all=y z`],
      ["index,manifest-descriptor:org.example.both=1"],
      ["index-descriptor:org.example.top=2"],
    ].flatMap(([each = ""]) => ["--annotation", each]);
    const name = `${registry.host}/annotated`;
    const args = ["--platform", `${own},${other}`, "-t", name, ...annotations];
    await wherry("build", ...args, "-o", `type=oci,dest=${place("annotated.tar")}`, directory);
    const layout = await Layout.ofArchive(place("annotated.tar"));
    const [top] = layout.index.manifests;
    if (top === undefined) throw new Error("nothing is listed");
    expect(top.annotations?.["org.example.top"]).toBe("2");
    const index = layout.json<Index>(top);
    expect(index.annotations).toEqual({ "org.example.both": "1" });
    const words = index.manifests.map((each) => [
      each.annotations,
      layout.json<Manifest>(each).annotations?.["org.example.all"],
    ]);
    expect(words).toEqual([
      [{ "org.example.both": "1" }, "x"],
      [{ "org.example.both": "1" }, "y z"],
    ]);
    // The same build into the store, then to a registry: it is the same there, byte for byte.
    await wherry("build", ...args, directory);
    await wherry("push", name);
    const client = await engine.client();
    const there = await client.images.distribution(name);
    expect(there.Descriptor.digest as string).toBe(top.digest);
    expect(JSON.parse(there.Manifest ?? "")).toEqual(index);
  });

  test("zstd layers go to a registry as such, and one platform as an index when that is asked for", async () => {
    const directory = context("plain", plain);
    const name = `${registry.host}/zstd`;
    const output = `type=registry,compression=zstd`;
    const { stderr } = await wherry("build", "-t", name, "-o", output, directory);
    expect(stderr).toMatch(/#\d+ pushing 127\.0\.0\.1:\d+\/zstd:latest done\n/);
    const client = await engine.client();
    const manifest = JSON.parse((await client.images.distribution(name)).Manifest ?? "") as Manifest;
    expect(new Set(manifest.layers.map(({ mediaType }) => mediaType))).toEqual(
      new Set(["application/vnd.oci.image.layer.v1.tar+zstd"]),
    );
    await client.images.remove(name, { force: true });
    expect((await wherry("run", "--rm", "--pull", "always", "-q", name)).stdout).toBe("a\nb\n");
  });

  test("what cannot be honoured is refused by name", async () => {
    const directory = context("plain", plain);
    for (const [output, why] of [
      ["type=oci,dest=x.tar,colour=red", 'exporter oci has no option "colour"'],
      ["type=cloud", 'exporter "cloud" could not be found'],
    ] as const) {
      const { code, stderr } = await engine.cli("wherry", ["build", "-o", output, directory]);
      expect([output, code, stderr]).toEqual([output, 1, expect.stringContaining(why)]);
    }
  });
});

if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx plugin on this machine", () => undefined);
else
  test("docker build -o: archives, a layout, annotations", async () => {
    const buildx = new BuildxUnderTest(engine);
    const directory = buildx.context("apart", apart);
    const several = ["--platform", `${own},${other}`, "-t", "x:1", "--annotation", "index:a=b"];
    await buildx.ok(["build", ...several, "-o", `type=oci,dest=${place("bx.tar")}`, directory]);
    const archive = await Layout.ofArchive(place("bx.tar"));
    const output = `type=oci,tar=false,dest=${place("bx")}`;
    await buildx.ok(["build", ...several, "-o", output, directory]);
    const layout = new Layout(place("bx"));
    const [[one], [two]] = [archive.index.manifests, layout.index.manifests];
    expect([one?.digest, one?.annotations?.["io.containerd.image.name"]]).toEqual([
      two?.digest,
      "docker.io/library/x:1",
    ]);
    if (two === undefined) throw new Error("nothing is listed");
    const index = layout.json<Index>(two);
    expect(index.annotations).toEqual({ a: "b" });
    for (const each of index.manifests) layout.checkLayers(layout.json<Manifest>(each));
    await buildx.ok([
      "build",
      "-t",
      "x:2",
      "-o",
      `type=docker,dest=${place("bxd.tar")}`,
      buildx.context("plain", plain),
    ]);
    await buildx.ok(["load", "-i", place("bxd.tar")]);
    expect((await buildx.ok(["run", "--rm", "x:2"])).stdout).toBe("a\nb\n");
  });
