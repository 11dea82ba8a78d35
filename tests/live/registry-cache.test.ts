/**
 * `wherry registry serve --proxy-remote` in front of Debian's docker-registry, in an engine's network: as a mirror of engines,
 * for skopeo, and alone.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { RegistryUnderTest, registryProgram } from "./registry-under-test.ts";
import { ServedRegistry } from "./served-registry.ts";

const skopeo = Bun.which("skopeo");
const port = 5055;
let engine: EngineUnderTest;
let source: RegistryUnderTest;
let cache: ServedRegistry;

beforeAll(async () => {
  // An image of Docker's registry, as its users say it: from the mirror, or not at all.
  engine = await EngineUnderTest.start("--registry-mirror", `http://127.0.0.1:${port}`);
  await engine.importBusybox();
  if (registryProgram === null) return;
  const { netns, directory } = engine;
  const users = `robot:${Bun.password.hashSync("secret", { algorithm: "bcrypt", cost: 4 })}\n`;
  source = await RegistryUnderTest.start({ netns, directory, port: 5000, users });
  writeFileSync(join(directory, "password"), "secret\n");
  const remote = ["--proxy-remote", `http://${source.host}`, "--proxy-username", "robot"];
  cache = await ServedRegistry.start(
    [
      ...["--root", join(directory, "cache"), "--addr", `127.0.0.1:${port}`],
      ...[...remote, "--proxy-password-file", join(directory, "password")],
    ],
    { netns },
  );
}, 30_000);
afterAll(async () => {
  await cache?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

async function ok(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.cli(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit ${code}: ${stdout}${stderr}`);
  return stdout;
}

test.skipIf(registryProgram === null || dockerCli === null || skopeo === null)(
  "engines and skopeo pull through it, also when what it caches is gone",
  async () => {
    const origin = `${source.host}/library/tiny:1`;
    await ok("docker", "tag", "busybox", origin);
    await ok("docker", "login", "-u", "robot", "-p", "secret", source.host);
    await ok("docker", "push", origin);
    await ok("docker", "rmi", origin, "busybox");
    expect(await ok("docker", "run", "--rm", "tiny:1", "echo", "through the mirror")).toContain(
      "through the mirror",
    );
    expect(await ok("docker", "inspect", "-f", "{{.RepoTags}}", "tiny:1")).toContain("tiny:1");
    const own = `127.0.0.1:${port}/library/mine:1`;
    await ok("docker", "tag", "tiny:1", own);
    const pushed = await engine.cli("docker", ["push", own]);
    expect(pushed.stderr).toContain("this registry is a cache of http://127.0.0.1:5000: push there");
    await ok("docker", "rmi", "tiny:1", own);
    await source[Symbol.asyncDispose]();
    expect(await ok("wherry", "pull", "tiny:1")).toContain("Downloaded newer image");
    const out = `oci:${join(engine.directory, "out")}`;
    await ok(
      "skopeo",
      "copy",
      "--insecure-policy",
      "--src-tls-verify=false",
      `docker://127.0.0.1:${port}/library/tiny:1`,
      out,
    );
  },
  60_000,
);
