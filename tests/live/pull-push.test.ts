/**
 * Images to and from registries: Debian's docker-registry and a faulty one, both on loopback in the engine's network, as the
 * docker CLI, this project's and skopeo use them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { inNamespace } from "#kernel/network/netns.ts";
import { digestOf, first, ScriptedRegistry } from "#registry/scripted-registry.ts";
import { mediaType } from "#spec/image.ts";
import { type CliResult, dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { RegistryUnderTest, registryProgram } from "./registry-under-test.ts";

const skopeo = Bun.which("skopeo");
let engine: EngineUnderTest;
let registry: RegistryUnderTest;
let closed: RegistryUnderTest;

beforeAll(async () => {
  engine = await EngineUnderTest.start("--max-concurrent-downloads", "2");
  await engine.importBusybox();
  if (registryProgram === null) return;
  const at = { netns: engine.netns, directory: engine.directory };
  registry = await RegistryUnderTest.start({ ...at, port: 5000 });
  const users = `ann:${Bun.password.hashSync("secret", { algorithm: "bcrypt", cost: 4 })}\n`;
  closed = await RegistryUnderTest.start({ ...at, port: 5001, users });
}, 30_000);
afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
  await closed?.[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const docker = async (...args: string[]): Promise<CliResult> => await engine.cli("docker", args);
async function ok(result: Promise<CliResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  if (code !== 0) throw new Error(`exit ${code}: ${stdout}${stderr}`);
  return stdout;
}

const withRegistry = test.skipIf(registryProgram === null || dockerCli === null);

describe("with Debian's docker-registry", () => {
  withRegistry(
    "pushed, known again, mounted, pulled, run",
    async () => {
      const [one, two] = [`${registry.host}/team/bb:1`, `${registry.host}/other/bb:2`];
      await ok(docker("tag", "busybox", one));
      const sent = await ok(docker("push", one));
      expect(sent).toContain("Pushed");
      expect(await ok(docker("push", one))).toContain("Layer already exists");
      await ok(docker("tag", "busybox", two));
      const mounted = await ok(docker("push", two));
      expect(mounted).toContain("Mounted from team/bb");
      const [, digest = ""] = /digest: (sha256:[0-9a-f]{64})/.exec(sent) ?? [];
      expect(mounted).toContain(digest);
      const id = (await ok(docker("inspect", "-f", "{{.Id}}", one))).trim();
      expect(await ok(docker("inspect", "-f", "{{.RepoDigests}}", one))).toContain(`/team/bb@${digest}`);
      await ok(docker("tag", "busybox", "kept:1"));
      await ok(docker("rmi", "-f", id));
      expect(await ok(docker("images", "-q", "--no-trunc"))).toBe("");
      const ran = await docker(
        "run",
        "--rm",
        "--name",
        "pulled",
        `${registry.host}/team/bb@${digest}`,
        "echo",
        "hello",
      );
      expect(ran).toMatchObject({ code: 0, stdout: "hello\n" });
      expect(ran.stderr).toContain("Pull complete");
      const pulled = await ok(docker("pull", two));
      expect(pulled).toContain(`Status: Downloaded newer image for ${two}`);
      expect(await ok(docker("pull", two))).toContain(`Status: Image is up to date for ${two}`);
      expect((await ok(docker("inspect", "-f", "{{.Id}}", two))).trim()).toBe(id);
      await ok(docker("tag", two, "busybox"));
    },
    30_000,
  );

  withRegistry("what is not there is told as dockerd tells it", async () => {
    const missing = await docker("pull", `${registry.host}/team/bb:nope`);
    expect(missing).toMatchObject({
      code: 1,
      stderr: `Error response from daemon: manifest for ${registry.host}/team/bb:nope not found: manifest unknown: manifest unknown\n`,
    });
    expect((await docker("pull", "127.0.0.1:1/x")).stderr).toContain("connect: connection refused");
    const unnamed = await docker("push", `${registry.host}/zz/bb:1`);
    expect(unnamed.stderr).toContain(`An image does not exist locally with the tag: ${registry.host}/zz/bb`);
  });

  withRegistry(
    "one that wants to know who asks",
    async () => {
      const image = `${closed.host}/mine/bb:1`;
      await ok(docker("tag", "busybox", image));
      const env = { DOCKER_CONFIG: join(engine.directory, "signed-in") };
      const signed = async (...args: string[]) => await engine.cli("docker", args, { env });
      expect((await docker("push", image)).stderr).toContain("no basic auth credentials");
      const wrong = await engine.cli("docker", ["login", "-u", "ann", "--password-stdin", closed.host], {
        env,
        input: "no",
      });
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("401 Unauthorized")]);
      const right = { env, input: "secret" };
      await ok(engine.cli("docker", ["login", "-u", "ann", "--password-stdin", closed.host], right));
      await ok(signed("push", image));
      await ok(signed("rmi", image));
      await ok(signed("pull", "-q", image));
      expect(engine.log).not.toContain("secret");
    },
    30_000,
  );

  withRegistry(
    "an index: the platform's own image, others beside it, all of it back",
    async () => {
      const name = `${registry.host}/team/many`;
      for (const arch of ["amd64", "arm64"]) {
        const tar = pack();
        tar.entry({ name: "arch" }, arch);
        tar.finalize();
        const client = await engine.client();
        const o = { repo: name, tag: arch, changes: [], platform: `linux/${arch}` };
        for await (const { error } of client.images.import(tar as AsyncIterable<Uint8Array>, o))
          expect(error).toBeUndefined();
        await ok(docker("push", `${name}:${arch}`));
      }
      const env = { DOCKER_CONFIG: join(engine.directory, "manifests") };
      const manifest = async (...args: string[]) =>
        await ok(engine.cli("docker", ["manifest", ...args], { env }));
      await manifest("create", "--insecure", `${name}:all`, `${name}:amd64`, `${name}:arm64`);
      const index = (await manifest("push", "--insecure", `${name}:all`)).trim();
      await ok(docker("rmi", `${name}:amd64`, `${name}:arm64`));
      const arch = async (...args: string[]) =>
        (await ok(docker("inspect", "-f", "{{.Architecture}}", ...args))).trim();
      expect(await ok(docker("pull", "--platform", "linux/arm64", `${name}:all`))).toContain(
        `Digest: ${index}`,
      );
      expect(await arch(`${name}:all`)).toBe("arm64");
      await ok(docker("pull", `${name}:all`));
      expect(await arch(`${name}:all`)).toBe(process.arch === "arm64" ? "arm64" : "amd64");
      const wrong = await docker("pull", "--platform", "linux/s390x", `${name}:all`);
      expect(wrong.stderr).toContain("no matching manifest for linux/s390x in the manifest list entries");
      const created = await docker(
        "create",
        "--platform",
        "linux/arm64",
        "--name",
        "other",
        `${name}:all`,
        "/x",
      );
      expect(created.code).toBe(0);
      await ok(docker("rm", "other"));
      const tree = await ok(engine.cli("wherry", ["images", "--tree", `${name}:all`]));
      expect(tree).toMatch(/├─ linux\/amd64 .*\n└─ linux\/arm64 /);
      const other = [
        "image",
        "inspect",
        "--platform",
        "linux/arm64",
        "-f",
        "{{.Architecture}}",
        `${name}:all`,
      ];
      expect(await ok(engine.cli("wherry", other))).toBe("arm64\n");
      // What both platforms came with goes back as it was.
      await ok(docker("tag", `${name}:all`, `${registry.host}/copy/many:all`));
      expect(await ok(docker("push", `${registry.host}/copy/many:all`))).toContain(index);
      expect(await registry.get("/v2/copy/many/manifests/all")).toContain("manifest.list");
      await ok(docker("rmi", `${name}:all`, `${registry.host}/copy/many:all`));
    },
    60_000,
  );

  test.skipIf(registryProgram === null || skopeo === null)(
    "skopeo's images come as they are, zstd and OCI too, and ours go to skopeo",
    async () => {
      const name = `${registry.host}/team/bb`;
      const copy = async (...args: string[]) =>
        await ok(
          engine.cli("skopeo", [
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            ...args,
          ]),
        );
      const client = await engine.client();
      await client.images.tag("busybox", name, "1");
      await ok(engine.cli("wherry", ["push", `${name}:1`]));
      const { RootFS } = await client.images.inspect("busybox");
      for (const [tag, args] of [
        ["oci-zstd", ["--format", "oci", "--dest-compress-format", "zstd"]],
        ["oci-gzip", ["--format", "oci", "--dest-compress-format", "gzip"]],
        ["v2s2", ["--format", "v2s2"]],
      ] as const) {
        await copy(...args, `docker://${name}:1`, `docker://${registry.host}/sk/bb:${tag}`);
        await ok(engine.cli("wherry", ["pull", `${registry.host}/sk/bb:${tag}`]));
        expect((await client.images.inspect(`${registry.host}/sk/bb:${tag}`)).RootFS).toEqual(RootFS);
        const ran = await engine.cli("wherry", ["run", "--rm", `${registry.host}/sk/bb:${tag}`, "true"]);
        expect(ran.code).toBe(0);
      }
      const seen = await ok(engine.cli("skopeo", ["inspect", "--tls-verify=false", `docker://${name}:1`]));
      expect(JSON.parse(seen)).toMatchObject({ Os: "linux", Layers: [expect.stringMatching(/^sha256:/)] });
    },
    60_000,
  );
});

/** A layer of this many random bytes, as a registry has it. */
async function layerOf(name: string, sizeBytes: number): Promise<{ tar: Buffer; gzip: Buffer }> {
  const tar = pack();
  tar.entry({ name }, randomBytes(sizeBytes));
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  const whole = Buffer.concat(parts);
  return { tar: whole, gzip: gzipSync(whole, { level: 1 }) };
}

describe("with a registry in trouble", () => {
  let faulty: ScriptedRegistry;
  beforeAll(async () => {
    faulty = await ScriptedRegistry.start({ within: (open) => inNamespace(engine.netns, open) });
  });
  afterAll(async () => await faulty[Symbol.asyncDispose]());

  /** An image of the layers; `spoil` changes its config. */
  function serve(
    tag: string,
    layers: readonly { tar: Buffer; gzip: Buffer }[],
    spoil: (config: { rootfs: { diff_ids: string[] } }) => object = (config) => config,
  ): string {
    const config = {
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: layers.map(({ tar }) => digestOf(tar) as string) },
    };
    const bytes = Buffer.from(JSON.stringify(spoil(config)));
    faulty.addManifest("app", tag, {
      schemaVersion: 2,
      mediaType: mediaType.dockerManifest,
      config: { mediaType: mediaType.dockerConfig, digest: faulty.addBlob(bytes), size: bytes.length },
      layers: layers.map(({ gzip }) => ({
        ...{ mediaType: mediaType.dockerLayerGzip, digest: faulty.addBlob(gzip), size: gzip.length },
      })),
    });
    return `${faulty.host}/app:${tag}`;
  }
  const kept = (name: string) => readdirSync(join(engine.directory, "data", name));

  test("an engine killed in the middle of a pull goes on where it was", async () => {
    const layers = [await layerOf("small", 1000), await layerOf("large", 4 << 20)];
    const image = serve("killed", layers);
    const half = Promise.withResolvers<void>();
    faulty.scripts.push(
      first(
        1,
        ({ url }) => url?.includes(digestOf(layers[1]!.gzip)) === true,
        (_, response) => {
          response.writeHead(200, { "Content-Length": layers[1]!.gzip.length });
          response.write(layers[1]!.gzip.subarray(0, 3 << 20), () => half.resolve());
          return true;
        },
      ),
    );
    const pulling = engine.cli("wherry", ["pull", image]);
    await half.promise;
    const arrived = (): number =>
      kept("arrivals").reduce((sum, name) => {
        const path = join(engine.directory, "data/arrivals", name);
        return sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
      }, 0);
    while (arrived() < 64 << 10) await Bun.sleep(5);
    await engine.stop("SIGKILL");
    expect((await pulling).code).not.toBe(0);
    await engine.start();
    const client = await engine.client();
    expect((await client.images.list()).flatMap(({ RepoTags }) => RepoTags)).not.toContain(image);
    expect((await engine.cli("wherry", ["pull", image])).code).toBe(0);
    const again = faulty.asked.filter(({ path }) => path.includes(digestOf(layers[1]!.gzip)));
    expect(again.at(-1)?.headers["range"]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(kept("arrivals")).toEqual([]);
    await client.images.remove(image);
  }, 30_000);

  test("two pulls of one image fetch and unpack it once", async () => {
    const image = serve("twice", [await layerOf("both", 2 << 20)]);
    const before = faulty.count("GET", /blobs/);
    const pull = async () => await engine.cli("wherry", ["pull", image]);
    const [one, two] = await Promise.all([pull(), pull()]);
    expect([one.code, two.code]).toEqual([0, 0]);
    expect(faulty.count("GET", /blobs/) - before).toBeLessThanOrEqual(3);
    await (await engine.client()).images.remove(image);
  });

  test("a layer again and again in one image (CVE-2021-20291)", async () => {
    const layer = await layerOf("same", 1000);
    const image = serve(
      "looping",
      Array.from({ length: 20 }, () => layer),
    );
    expect((await engine.cli("wherry", ["pull", image])).code).toBe(0);
    await (await engine.client()).images.remove(image);
  }, 30_000);

  test("lies leave nothing behind", async () => {
    const layer = await layerOf("file", 1000);
    const cases: [string, string, string][] = [
      [
        "another layer than the config says",
        serve("lie-1", [layer], (config) => ({
          ...config,
          rootfs: { type: "layers", diff_ids: [digestOf(Buffer.from("x"))] },
        })),
        "failed to register layer",
      ],
      [
        "fewer layers than the config says",
        serve("lie-2", [], (config) => ({
          ...config,
          rootfs: { type: "layers", diff_ids: [digestOf(Buffer.from("x"))] },
        })),
        "its config speaks of 1",
      ],
      [
        "another system",
        serve("lie-3", [layer], (config) => ({ ...config, os: "plan9" })),
        "operating system",
      ],
      [
        "no archive",
        serve("lie-4", [{ tar: Buffer.from("x"), gzip: Buffer.from("no tar at all") }]),
        "failed to register",
      ],
    ];
    const [blobs, layers] = [blobsKept(), kept("layers/layers")];
    for (const [what, image, message] of cases) {
      const { code, stderr, stdout } = await engine.cli("wherry", ["pull", image]);
      expect([what, code, stderr + stdout]).toEqual([what, 1, expect.stringContaining(message)]);
    }
    expect([blobsKept(), kept("layers/layers"), kept("layers/incoming"), kept("arrivals")]).toEqual([
      ...[blobs, layers, [], []],
    ]);
  }, 60_000);

  const blobsKept = () => kept("blobs/sha256");
});

test.skipIf(registryProgram === null)("credential helpers and config.json are those of Docker", async () => {
  const bin = join(engine.directory, "bin");
  const config = join(engine.directory, "helped");
  for (const path of [bin, config]) mkdirSync(path);
  const helper = `#!/bin/sh\nread host\necho "$1 $host" >> ${config}/asked\n[ "$1" = get ] && echo '{"Username":"ann","Secret":"secret"}'\nexit 0\n`;
  writeFileSync(join(bin, "docker-credential-test"), helper, { mode: 0o755 });
  writeFileSync(join(config, "config.json"), JSON.stringify({ credHelpers: { [closed.host]: "test" } }));
  const env = { DOCKER_CONFIG: config, PATH: `${bin}:${process.env["PATH"]}` };
  const client = await engine.client();
  await client.images.tag("busybox", `${closed.host}/helped/bb`, "1");
  const pushed = await engine.cli("wherry", ["push", `${closed.host}/helped/bb:1`], { env });
  expect([pushed.code, pushed.stderr]).toEqual([0, ""]);
});
