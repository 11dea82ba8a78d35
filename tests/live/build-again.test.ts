/** The same inputs make the same image: on another engine, by another client, at another time. And what a build tells of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { Layout, type Manifest } from "./layouts.ts";
import { ServedRegistry } from "./served-registry.ts";

let one: EngineUnderTest;
let other: EngineUnderTest;
let registry: ServedRegistry;
let directory: string;
beforeAll(async () => {
  one = await EngineUnderTest.start();
  other = await EngineUnderTest.startBeside(one);
  registry = await ServedRegistry.start(["--root", join(one.directory, "registry")], { netns: one.netns });
  directory = place("context");
  mkdirSync(join(directory, "d"), { recursive: true });
  copyFileSync("/bin/busybox", join(directory, "busybox"));
  writeFileSync(join(directory, "d/file"), "content");
  writeFileSync(
    join(directory, "Dockerfile"),
    [
      "FROM scratch AS base",
      "COPY busybox /bin/busybox",
      'RUN ["/bin/busybox", "sh", "-c", "busybox mkdir -p /made/deep && echo $SOURCE_DATE_EPOCH >/made/deep/file"]',
      "FROM base",
      "WORKDIR /w",
      "COPY d /w/",
      "COPY --from=base /made /again",
      "ENV A=1",
    ].join("\n"),
  );
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await one[Symbol.asyncDispose]();
});

const place = (name: string): string => join(one.directory, name);
const epoch = 1_000_000_000;
const iso = "2001-09-09T01:46:40.000Z";

interface Told {
  readonly "containerimage.digest": string;
  readonly "containerimage.config.digest": string;
  readonly "image.name"?: string;
}

/** What it says in `--metadata-file`, and what came out. */
async function wherry(
  engine: EngineUnderTest,
  name: string,
  output: string,
  env: Record<string, string> = {},
): Promise<{ told: Told; layout: Layout }> {
  const [metadata, archive] = [place(`${name}.json`), place(`${name}.tar`)];
  const args = ["build", "--metadata-file", metadata, "-o", `type=oci,dest=${archive}${output}`, directory];
  const { code, stderr } = await engine.cli("wherry", args, { env });
  if (code !== 0) throw new Error(`${code}\n${stderr}`);
  return {
    told: JSON.parse(readFileSync(metadata, "utf8")) as Told,
    layout: await Layout.ofArchive(archive),
  };
}

/** Entries of all its layers that are younger than the epoch, and the times its config speaks of. */
function times(layout: Layout): { young: string[]; said: string[] } {
  const [top] = layout.index.manifests;
  if (top === undefined) throw new Error("nothing is listed");
  const manifest = layout.json<Manifest>(top);
  layout.checkLayers(manifest);
  const young = manifest.layers.flatMap((layer) => {
    const path = join(layout.directory, "blobs", layer.digest.replace(":", "/"));
    const listing = Bun.spawnSync(["tar", "--full-time", "--utc", "-tvzf", path], { env: { TZ: "UTC" } });
    const lines = listing.stdout.toString().split("\n");
    return lines.filter((line) => {
      const [, time] = / (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)/.exec(line) ?? [];
      return time !== undefined && Date.parse(`${time}Z`) > epoch * 1000;
    });
  });
  const config = layout.json<{ created: string; history: { created: string }[] }>(manifest.config);
  return { young, said: [...new Set([config.created, ...config.history.map(({ created }) => created)])] };
}

test("SOURCE_DATE_EPOCH makes one image of the same inputs, on two engines, whatever the form", async () => {
  for (const form of ["", ",compression=zstd"]) {
    const env = { SOURCE_DATE_EPOCH: String(epoch) };
    const first = await wherry(one, "first", form, env);
    const second = await wherry(other, "second", form, env);
    expect(second.told).toEqual(first.told);
    if (form !== "") continue;
    expect(times(first.layout)).toEqual({ young: [], said: [iso] });
    if (buildxPlugin === undefined) continue;
    const buildx = new BuildxUnderTest(other);
    const metadata = place("buildx.json");
    const output = `type=oci,dest=${place("buildx.tar")}`;
    const again = ["build", "--no-cache", "--metadata-file", metadata, "-o", output, directory];
    await buildx.ok(again, { env });
    const told = JSON.parse(readFileSync(metadata, "utf8")) as Told;
    expect(told["containerimage.digest"]).toBe(first.told["containerimage.digest"]);
  }
});

test("rewrite-timestamp does the same for what was built without it", async () => {
  const output = `,source-date-epoch=${epoch},rewrite-timestamp=true`;
  const first = await wherry(one, "rewritten", output);
  expect(times(first.layout)).toEqual({ young: [], said: [iso] });
  const second = await wherry(other, "rewritten2", output);
  expect(second.told).toEqual(first.told);
  const config = await wherry(one, "unwritten", `,source-date-epoch=${epoch}`);
  expect(times(config.layout).said).toEqual([iso]);
  expect(times(config.layout).young.length).toBeGreaterThan(0);
});

test("--iidfile and --metadata-file say what it is called, here and there", async () => {
  const [iid, metadata] = [place("iid"), place("pushed.json")];
  const name = `${registry.host}/told`;
  const files = ["--iidfile", iid, "--metadata-file", metadata];
  const { code, stderr } = await one.cli("wherry", ["build", ...files, "-t", name, "--push", directory]);
  expect([code, stderr]).toEqual([0, expect.stringContaining("exporting to image")]);
  const client = await one.client();
  const { Id } = await client.images.inspect(name);
  const there = (await client.images.distribution(name)).Descriptor.digest as string;
  expect(readFileSync(iid, "utf8")).toBe(Id);
  expect(JSON.parse(readFileSync(metadata, "utf8"))).toEqual({
    "containerimage.config.digest": Id,
    "containerimage.digest": there,
    "image.name": `${name}:latest`,
  });
  if (buildxPlugin === undefined) return;
  const buildx = new BuildxUnderTest(one);
  await buildx.ok(["build", ...files, "-t", name, "--push", directory]);
  expect(readFileSync(iid, "utf8")).toBe((await client.images.inspect(name)).Id);
  expect((JSON.parse(readFileSync(metadata, "utf8")) as Told)["containerimage.digest"]).toBe(
    (await client.images.distribution(name)).Descriptor.digest as string,
  );
});

test("--squash makes one layer of what the build made, the same files, and nothing of what it removed", async () => {
  await one.importBusybox();
  const context = place("squash");
  mkdirSync(context);
  const lines = [
    "FROM busybox",
    "RUN mkdir -p /d/gone /d/kept && echo secret-of-a-step >/d/gone/s && echo 1 >/d/kept/a && ln -s kept /d/l && rm /etc/group",
    "RUN rm -r /d/gone && echo 2 >/d/kept/b && rm -r /root && mkdir /root && echo new >/root/n && ls -l /d/kept/a",
    "RUN rm /d/l && mkdir /d/l && ln /d/kept/a /d/l/hard && chmod 750 /d/kept",
    "CMD ls -lR /d /root /etc /tmp",
  ];
  writeFileSync(join(context, "Dockerfile"), lines.join("\n"));
  const listed: string[] = [];
  for (const flags of [
    ["-t", "many"],
    ["-t", "squashed", "--squash"],
  ]) {
    const { code, stderr } = await one.cli("wherry", ["build", ...flags, context]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("naming to")]);
    listed.push((await one.cli("wherry", ["run", "--rm", "--network", "none", flags[1] ?? ""])).stdout);
  }
  expect(listed[1]).toMatch(/ a\n[\s\S]* b\n[\s\S]* hard\n/);
  // What a container is given differs from one to the next, and overlays count links to directories in their own way.
  const plain = (text = "") =>
    text
      .replace(/^.*(?:hosts|hostname|resolv\.conf|mtab[^\n]*)$/gm, "")
      .replace(/^total.*$/gm, "")
      .replace(/^(d\S+) +\d+/gm, "$1");
  expect(plain(listed[1])).toBe(plain(listed[0]));
  const client = await one.client();
  const layers = async (name: string) => (await client.images.inspect(name)).RootFS.Layers ?? [];
  const [base, many, squashed] = [await layers("busybox"), await layers("many"), await layers("squashed")];
  expect([many.length, squashed.length]).toEqual([base.length + 3, base.length + 1]);
  expect(squashed.slice(0, -1)).toEqual(base);
  const saved = await Layout.ofArchive(await save("squashed"));
  const [top] = saved.index.manifests;
  if (top === undefined) throw new Error("nothing is listed");
  const last = saved.json<Manifest>(top).layers.at(-1);
  if (last === undefined) throw new Error("there are no layers");
  expect(saved.blob(last).toString("latin1")).not.toContain("secret-of-a-step");
});

async function save(name: string): Promise<string> {
  const path = place(`${name}.saved.tar`);
  const { code, stderr } = await one.cli("wherry", ["save", "-o", path, name]);
  if (code !== 0) throw new Error(stderr);
  return path;
}
