/** What a build says of itself: provenance and bills of material, beside the image in its index, or as referrers of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
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

const place = (name: string): string => join(engine.directory, name);

const context = (name: string, files: Readonly<Record<string, string>>): string =>
  buildContext(place(name), files);

async function wherry(...args: string[]): Promise<CliResult> {
  const result = await engine.cli("wherry", args);
  if (result.code !== 0)
    throw new Error(`${args.join(" ")}: ${result.code}\n${result.stdout}${result.stderr}`);
  return result;
}

const dockerfile = [
  "FROM busybox AS build",
  "ARG WORD",
  "RUN --mount=type=secret,id=token cp /run/secrets/token /dev/null && echo $WORD >/word",
  "FROM busybox",
  "COPY --from=build /word /",
].join("\n");

interface Statement {
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own.
  readonly predicate: any;
}

/** What is said of the only image of a layout. */
async function statements(
  archive: string,
): Promise<{ index: Index; said: Statement[]; attestation: Manifest }> {
  const layout = await Layout.ofArchive(archive);
  const [top] = layout.index.manifests;
  if (top === undefined) throw new Error("nothing is listed");
  const index = layout.json<Index>(top);
  const [image, about, ...more] = index.manifests;
  if (image === undefined || about === undefined || more.length > 0)
    throw new Error("an image and what is said of it were expected");
  expect(about.platform).toEqual({ architecture: "unknown", os: "unknown" });
  expect(about.annotations).toEqual({
    "vnd.docker.reference.type": "attestation-manifest",
    "vnd.docker.reference.digest": image.digest,
  });
  layout.checkLayers(layout.json<Manifest>(image));
  const attestation = layout.json<Manifest>(about);
  layout.blob(attestation.config);
  const said = attestation.layers.map((each) => {
    const statement = layout.json<Statement>(each);
    expect(each.annotations?.["in-toto.io/predicate-type"]).toBe(statement.predicateType);
    expect(`sha256:${statement.subject[0]?.digest.sha256}`).toBe(image.digest);
    return statement;
  });
  return { index, said, attestation };
}

test("provenance says what a result stands on, and all of its steps when it shall", async () => {
  const directory = context("said", { Dockerfile: dockerfile, token: "hush-hush\n" });
  const secret = `id=token,src=${join(directory, "token")}`;
  const args = ["build", "-t", "said:1", "--build-arg", "WORD=w", "--secret", secret, directory];
  const [low, high] = [place("low.tar"), place("high.tar")];
  await wherry(...args, "--provenance", "mode=min,version=v1", "-o", `type=oci,dest=${low}`);
  const [min] = (await statements(low)).said;
  expect(min?.predicateType).toBe("https://slsa.dev/provenance/v1");
  expect(min?.subject[0]?.name).toMatch(/^pkg:docker\/said@1\?platform=linux%2F\w+$/);
  const { buildDefinition, runDetails } = min?.predicate ?? {};
  expect(buildDefinition.externalParameters).toMatchObject({
    configSource: { path: "Dockerfile" },
    request: { frontend: "dockerfile.v0", locals: [{ name: "dockerfile" }] },
  });
  expect(buildDefinition.externalParameters.request.args["build-arg:WORD"]).toBeUndefined();
  expect(buildDefinition.internalParameters.buildConfig).toBeUndefined();
  expect(buildDefinition.resolvedDependencies).toEqual([
    {
      uri: expect.stringMatching(/^pkg:docker\/busybox@latest\?platform=linux%2F\w+$/),
      digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    },
  ]);
  expect(Date.parse(runDetails.metadata.finishedOn)).toBeGreaterThanOrEqual(
    Date.parse(runDetails.metadata.startedOn),
  );
  await wherry(
    ...args,
    "--attest",
    "type=provenance,mode=max,builder-id=https://example.org/me",
    "-o",
    `type=oci,dest=${high}`,
  );
  const [max] = (await statements(high)).said;
  expect(max?.predicateType).toBe("https://slsa.dev/provenance/v0.2");
  const { builder, invocation, buildConfig, metadata } = max?.predicate ?? {};
  expect(builder.id).toBe("https://example.org/me");
  expect(invocation.parameters).toMatchObject({
    args: { "build-arg:WORD": "w" },
    secrets: [{ id: "token" }],
  });
  const run = buildConfig.llbDefinition.find((step: { op: { Op: { exec?: object } } }) => step.op.Op.exec);
  expect(run.op.Op.exec.meta.args.at(-1)).toContain("echo $WORD >/word");
  const [info] = metadata["https://mobyproject.org/buildkit@v1#metadata"].source.infos;
  expect(Buffer.from(info.data, "base64").toString()).toBe(dockerfile);
  expect(readFileSync(high, "latin1")).not.toContain("hush-hush");
});

test("it is pushed with the image, and read from there as a referrer when it is an artifact", async () => {
  const directory = context("pushed", { Dockerfile: "FROM busybox\nLABEL a=b\n" });
  const name = `${registry.host}/pushed`;
  const client = await engine.client();
  await wherry("build", "-t", name, "--provenance", "true", "--push", directory);
  const index = JSON.parse((await client.images.distribution(name)).Manifest ?? "") as Index;
  expect(index.manifests.map(({ platform }) => platform?.os)).toEqual(["linux", "unknown"]);
  // To the engine it is one image as ever.
  const listed = (await client.images.list()).filter(({ RepoTags }) => RepoTags?.includes(`${name}:latest`));
  expect(listed.map(({ Id }) => Id)).toEqual([(await client.images.inspect(name)).Id]);
  await wherry(
    "build",
    "-t",
    `${name}:art`,
    "--provenance",
    "true",
    "-o",
    "type=registry,oci-artifact=true",
    directory,
  );
  const second = JSON.parse((await client.images.distribution(`${name}:art`)).Manifest ?? "") as Index;
  const [image, about] = second.manifests;
  const path = `${registry.url}/v2/pushed/referrers/${image?.digest}`;
  const asked = Bun.spawn(["nsenter", `--net=${engine.netns}`, "wget", "-qO-", path], { stdout: "pipe" });
  const referrers = JSON.parse(await new Response(asked.stdout).text()) as {
    manifests: { digest: string; artifactType: string }[];
  };
  expect(referrers.manifests).toMatchObject([
    { digest: about?.digest, artifactType: "application/vnd.docker.attestation.manifest.v1+json" },
  ]);
});

test("a scanner looks through the result, and can change nothing", async () => {
  const scanner = [
    "#!/bin/sh",
    "set -e",
    'test "$BUILDKIT_SCAN_WORD" = yes',
    'if echo x 2>/dev/null >"$BUILDKIT_SCAN_SOURCE/written"; then exit 9; fi',
    "files=$(ls $BUILDKIT_SCAN_SOURCE | tr '\\n' ' ')",
    'echo "{\\"predicateType\\":\\"https://spdx.dev/Document\\",\\"predicate\\":{\\"name\\":\\"$files\\"}}" >$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json',
  ];
  const files = { Dockerfile: 'FROM busybox\nCOPY --chmod=755 scan /scan\nENTRYPOINT ["/scan"]\n' };
  // This busybox has no tr.
  const script = scanner.join("\n").replace(" | tr '\\n' ' '", ' | while read f; do echo -n "$f "; done');
  await wherry("build", "-t", "scanner", context("scanner", { ...files, scan: script }));
  const directory = context("scanned", { Dockerfile: "FROM scratch\nCOPY one two /\n", one: "1", two: "2" });
  const output = `type=oci,dest=${place("scanned.tar")}`;
  const args = ["--sbom", "generator=scanner,WORD=yes", "--provenance", "max", "-o", output];
  const { stderr } = await wherry("build", ...args, directory);
  expect(stderr).toMatch(/\[linux\/\w+\] generating sbom using docker\.io\/library\/scanner:latest/);
  const { said } = await statements(place("scanned.tar"));
  expect(said.map(({ predicateType }) => predicateType)).toEqual([
    "https://spdx.dev/Document",
    "https://slsa.dev/provenance/v0.2",
  ]);
  expect(said[0]?.predicate).toEqual({ name: "one two " });
});

const both = ["linux/arm64", "linux/amd64"];

test("beside files lies what is said of them, for each platform, in the time that was asked for", async () => {
  const own = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n";
  const files = { "amd64/x": "1", "arm64/y": "2", z: "z" };
  const directory = context("files", { ...files, Dockerfile: `${own}COPY z /p/z\n` });
  const build = ["build", "--provenance", "mode=max", "--platform", both.join(",")];
  await wherry(...build, "-o", place("split"), directory);
  for (const [platform, name] of [
    ["linux_arm64", "y"],
    ["linux_amd64", "x"],
  ] as const) {
    const beside = readFileSync(join(place("split"), platform, "provenance.json"), "utf8");
    const { predicateType, subject } = JSON.parse(beside);
    expect(predicateType).toBe("https://slsa.dev/provenance/v0.2");
    expect(subject.map((each: { name: string }) => each.name)).toEqual(["p/z", name]);
    const digest = new Bun.CryptoHasher("sha256").update("z").digest("hex");
    expect(subject[0].digest).toEqual({ sha256: digest });
    expect(readdirSync(join(place("split"), platform)).sort()).toEqual(["p", "provenance.json", name]);
  }
  const epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1000000"];
  const together = `type=local,platform-split=false,attestation-prefix=of-,dest=${place("together")}`;
  const refused = await engine.cli("wherry", [...build, "-o", together, directory]);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringContaining(
      "cannot overwrite p/z from linux/arm64 with linux/amd64 when split option is disabled",
    ),
  ]);
  const apart = context("apart-files", { ...files, Dockerfile: own });
  await wherry(...build, ...epoch, "-o", together, apart);
  const names = ["of-provenance.linux_amd64.json", "of-provenance.linux_arm64.json", "x", "y"];
  expect(readdirSync(place("together")).sort()).toEqual(names);
  for (const name of names) expect(statSync(join(place("together"), name)).mtimeMs).toBe(1_000_000_000);

  const archive = place("files.tar");
  await wherry(...build, ...epoch, "-o", `type=tar,dest=${archive}`, directory);
  const { exitCode, stdout } = Bun.spawnSync(["tar", "--utc", "-tvf", archive]);
  const lines = stdout.toString().trim().split("\n");
  expect([exitCode, lines.map((line) => line.split(" ").at(-1))]).toEqual([
    0,
    ["linux_arm64", "linux_amd64"].flatMap((platform) =>
      ["/", "/p/", "/p/z", platform === "linux_arm64" ? "/y" : "/x", "/provenance.json"].map(
        (name) => platform + name,
      ),
    ),
  ]);
  expect(lines.every((line) => line.includes(" 1970-01-12 13:46 "))).toBe(true);
  if (buildxPlugin === undefined) return;
  const buildx = new BuildxUnderTest(engine);
  const output = `type=local,dest=${place("by-docker")}`;
  await buildx.ok(["build", "--provenance=mode=max", "--platform", both.join(","), "-o", output, directory]);
  expect(existsSync(join(place("by-docker"), "linux_amd64", "provenance.json"))).toBe(true);
});

test("what cannot be said is refused by name", async () => {
  const directory = context("refused", { Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
  for (const [args, why] of [
    [["--sbom", "generator=127.0.0.1:1/none"], "the SBOM scanner 127.0.0.1:1/none cannot be had: "],
    [["--sbom", "generator=busybox"], "the SBOM scanner busybox "],
    [["--attest", "type=horoscope"], 'unknown attestation type "horoscope"'],
    [["--provenance", "mode=most"], 'invalid provenance mode "most"'],
    [["-o", `type=local,attestation-prefix=../,dest=${place("files")}`], 'invalid attestation-prefix "../"'],
    [["-o", `type=local,mode=delete,dest=${place("files")}`], '"mode=delete" is not supported'],
    [
      ["--provenance", "true", "-o", `type=docker,dest=${place("x.tar")}`],
      "docker exporter does not currently support exporting manifest lists",
    ],
  ] as const) {
    const { code, stderr } = await engine.cli("wherry", ["build", ...args, directory]);
    expect([args, code, stderr]).toEqual([args, 1, expect.stringContaining(why)]);
  }
});

if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx plugin on this machine", () => undefined);
else
  test("docker build says nothing by default, as Docker's own store, and all that is asked for", async () => {
    const buildx = new BuildxUnderTest(engine);
    const directory = buildx.context("asked", { Dockerfile: "FROM busybox\nLABEL x=y\n" });
    const env = { BUILDX_NO_DEFAULT_ATTESTATIONS: "0" };
    const client = await engine.client();
    for (const [flags, kinds] of [
      [[], undefined],
      [["--provenance=false"], undefined],
      [["--provenance=mode=max"], ["linux", "unknown"]],
    ] as const) {
      const name = `${registry.host}/asked${flags.length}${kinds?.length ?? 0}`;
      await buildx.ok(["build", ...flags, "-t", name, "--push", directory], { env });
      const { manifests } = JSON.parse((await client.images.distribution(name)).Manifest ?? "") as Index;
      expect([flags, manifests?.map(({ platform }) => platform?.os)]).toEqual([flags, kinds as never]);
    }
  });
