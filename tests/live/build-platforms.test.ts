/** One build for several platforms: what needs no programs of theirs is built, named as one, and pushed as an index. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { emulated } from "#build/request/runs-programs.ts";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";
import { ServedRegistry } from "./served-registry.ts";

let engine: EngineUnderTest;
let registry: ServedRegistry;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  const root = join(engine.directory, "registry");
  registry = await ServedRegistry.start(["--root", root], { netns: engine.netns });
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const own = process.arch === "arm64" ? "linux/arm64" : "linux/amd64";
const other = process.arch === "arm64" ? "linux/amd64" : "linux/arm64";
/** One that this machine has no emulator for. */
const foreign = ["s390x", "riscv64", "ppc64le", "mips64le"]
  .filter((name) => !emulated().includes(name))
  .map((name) => `linux/${name}`)[0];

function context(name: string, files: Readonly<Record<string, string>>): string {
  const directory = join(engine.directory, name);
  mkdirSync(directory, { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(directory, path), text);
  return directory;
}

async function wherry(...args: string[]): Promise<CliResult> {
  const result = await engine.cli("wherry", args);
  if (result.code !== 0)
    throw new Error(`${args.join(" ")}: ${result.code}\n${result.stdout}${result.stderr}`);
  return result;
}

interface Index {
  readonly mediaType: string;
  readonly manifests: readonly {
    readonly digest: string;
    readonly platform: { readonly os: string; readonly architecture: string };
  }[];
}

async function remoteIndex(name: string): Promise<Index> {
  const client = await engine.client();
  return JSON.parse((await client.images.distribution(name)).Manifest ?? "") as Index;
}

const cross = [
  "FROM --platform=$BUILDPLATFORM busybox AS build",
  "ARG TARGETARCH",
  "RUN mkdir /o && echo made for $TARGETARCH >/o/arch",
  "FROM scratch",
  "COPY --from=build /o /",
  "COPY same /",
].join("\n");

/** The name leads to the machine's own, and to the other when that is asked for. */
async function checkBuilt(name: string): Promise<void> {
  const client = await engine.client();
  const inspect = async (platform?: string) => {
    const [os, architecture] = platform?.split("/") ?? [];
    const query = platform === undefined ? {} : { platform: JSON.stringify({ os, architecture }) };
    const { Architecture, Os } = await client.images.inspect(name, query);
    return `${Os}/${Architecture}`;
  };
  expect(await inspect()).toBe(own);
  expect(await inspect(own)).toBe(own);
  expect(await inspect(other)).toBe(other);
}

test("wherry build makes one image for each platform, and a push of them is an index", async () => {
  const directory = context("cross", { Dockerfile: cross, same: "same\n" });
  const name = `${registry.host}/cross`;
  const built = await wherry("build", "--platform", `${other},${own}`, "-t", name, directory);
  expect(built.stderr).toContain(`[${other} stage-1 1/2] COPY --from=build /o /`);
  await checkBuilt(name);
  const inspected = (await wherry("inspect", "-f", "{{.Id}}", name)).stdout.trim();
  expect(built.stderr).toContain(`writing image ${inspected}`);
  await wherry("push", name);
  const index = await remoteIndex(name);
  expect(index.mediaType).toBe("application/vnd.oci.image.index.v1+json");
  const platforms = index.manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`);
  expect(platforms.sort()).toEqual([own, other].sort());
  // What other engines get of it is each platform's own.
  const client = await engine.client();
  await client.images.remove(name, { force: true });
  await wherry("pull", "--platform", other, name);
  const id = (await wherry("create", "--platform", other, name, "x")).stdout.trim();
  const file = join(engine.directory, "arch");
  await wherry("cp", `${id}:/arch`, file);
  expect(readFileSync(file, "utf8")).toBe(`made for ${other.split("/")[1]}\n`);
  await wherry("rm", id);
});

if (foreign === undefined) test.skip("this machine has emulators for everything", () => undefined);
else test("a step for a platform the machine has no emulator for is refused before anything runs", refused);
async function refused(): Promise<void> {
  const directory = context("refused", {
    Dockerfile: 'FROM scratch\nCOPY Dockerfile /\nRUN ["/x"]\n',
  });
  const args = ["build", "--platform", foreign ?? "", directory];
  const { code, stderr } = await engine.cli("wherry", args);
  expect(code).toBe(1);
  expect(stderr).toContain("   3 | >>> RUN");
  expect(stderr).toContain(
    `this machine does not run programs for ${foreign}: register an emulator with binfmt_misc (Debian: qemu-user-static), or leave RUN out for that platform`,
  );
}

test("a base image that only is there for another platform is told by its check", async () => {
  const name = `${registry.host}/single:1`;
  const directory = context("single", { Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
  await wherry("build", "--platform", other, "-t", name, directory);
  await wherry("push", name);
  await wherry("rmi", name);
  const text = `FROM ${name}\nCOPY Dockerfile /again\n`;
  const upon = context("upon", { Dockerfile: text });
  const { stderr } = await wherry("build", "--pull", upon);
  expect(stderr).toContain(
    `InvalidBaseImagePlatform: Base image ${name} was pulled with platform "${other}", expected "${own}" for current build (line 1)`,
  );
  const skipping = context("skipping", { Dockerfile: `# check=skip=InvalidBaseImagePlatform\n${text}` });
  expect((await wherry("build", "--pull", skipping)).stderr).not.toContain("InvalidBaseImagePlatform");
  const strict = context("strict", { Dockerfile: `# check=error=true\n${text}` });
  const failed = await engine.cli("wherry", ["build", "--pull", strict]);
  expect([failed.code, failed.stderr]).toEqual([
    1,
    expect.stringContaining("lint violation found for rules: InvalidBaseImagePlatform"),
  ]);
});

if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx plugin on this machine", () => undefined);
else
  test("docker build --platform with two of them, and --push", async () => {
    const buildx = new BuildxUnderTest(engine);
    const directory = buildx.context("cross", { Dockerfile: cross, same: "same\n" });
    const name = `${registry.host}/crossx`;
    await buildx.ok(["build", "--platform", `${own},${other}`, "-t", name, "--push", directory]);
    await checkBuilt(name);
    const { manifests } = await remoteIndex(name);
    const platforms = manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`);
    expect(platforms.sort()).toEqual([own, other].sort());
    // A single platform stays a single manifest, as ever.
    await buildx.ok(["build", "-t", `${name}:one`, "--push", directory]);
    expect((await remoteIndex(`${name}:one`)).manifests).toBeUndefined();
  });
