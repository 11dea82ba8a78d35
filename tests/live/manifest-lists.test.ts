/** Lists of manifests, put together on the command line in docker's own files, and pushed to Debian's docker-registry. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { RegistryUnderTest, registryProgram } from "./registry-under-test.ts";

let engine: EngineUnderTest;
let registry: RegistryUnderTest;
let config: string;

type Program = "wherry" | "docker";
async function run(program: Program, ...args: string[]) {
  return await engine.cli(program, args, { env: { DOCKER_CONFIG: config } });
}
async function ok(program: Program, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, ...args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit ${code}: ${stdout}${stderr}`);
  return stdout;
}
const at = (name: string) => `${registry.host}/${name}`;

beforeAll(async () => {
  if (registryProgram === null) return;
  engine = await EngineUnderTest.start();
  config = join(engine.directory, "config");
  registry = await RegistryUnderTest.start({ netns: engine.netns, directory: engine.directory, port: 5077 });
  await engine.importBusybox();
  const empty = join(engine.directory, "empty.tar");
  writeFileSync(empty, Buffer.alloc(1024));
  await ok("wherry", "import", "--platform", "linux/arm64", empty, "other");
  for (const [image, name] of [
    ["busybox", at("one:1")],
    ["other", at("two:1")],
  ] as const) {
    await ok("wherry", "tag", image, name);
    await ok("wherry", "push", "-q", name);
  }
}, 60_000);
afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

describe.skipIf(registryProgram === null)("a list (skipped without Debian's docker-registry)", () => {
  test("is made, annotated, looked at, pushed and pulled by platform", async () => {
    expect(await ok("wherry", "manifest", "create", at("both:1"), at("one:1"), at("two:1"))).toBe(
      `Created manifest list ${at("both:1")}\n`,
    );
    await ok("wherry", "manifest", "annotate", at("both:1"), at("two:1"), "--variant", "v8");
    const local = await ok("wherry", "manifest", "inspect", at("both:1"));
    expect(JSON.parse(local).manifests.map(({ platform }: { platform: object }) => platform)).toEqual([
      { architecture: "amd64", os: "linux" },
      { architecture: "arm64", os: "linux", variant: "v8" },
    ]);
    const pushed = (await ok("wherry", "manifest", "push", "--purge", at("both:1"))).split("\n");
    expect(pushed).toEqual([
      expect.stringMatching(/^Pushed ref .*\/both@sha256:\w{64} with digest: sha256:\w{64}$/),
      expect.stringMatching(/^Pushed ref .*\/both@sha256:/),
      expect.stringMatching(/^sha256:\w{64}$/),
      "",
    ]);
    expect(await ok("wherry", "manifest", "inspect", at("both:1"))).toBe(local);
    expect(existsSync(join(config, "manifests", at("both-1").replaceAll(/[:/]/g, "_")))).toBe(false);
    expect(readdirSync(join(config, "manifests"))).toEqual([]);
    await ok("wherry", "pull", "-q", "--platform", "linux/arm64/v8", at("both:1"));
    await ok("wherry", "rmi", at("both:1"));
  }, 60_000);

  test("what cannot be is said", async () => {
    await ok("wherry", "manifest", "create", at("list:1"), at("one:1"));
    const refusals: [string[], string][] = [
      [
        ["create", at("list:1"), at("two:1")],
        "refusing to amend an existing manifest list with no --amend flag",
      ],
      [["create", at("x:1"), at("none:1")], `no such manifest: ${at("none:1")}`],
      [["create", at("x:1"), at("both:1")], `${at("both:1")} is a manifest list`],
      [
        ["annotate", at("list:1"), at("one:1"), "--arch", "foo"],
        "manifest entry for image has unsupported os/arch combination: linux/foo",
      ],
      [
        ["annotate", at("list:1"), at("two:1"), "--arch", "arm"],
        `manifest for image ${at("two:1")} does not exist in ${at("list:1")}`,
      ],
      [["push", at("none:1")], `No such manifest: ${at("none:1")}`],
      [["rm", at("none:1")], `No such manifest: ${at("none:1")}`],
      [["inspect", at("none:1")], `no such manifest: ${at("none:1")}`],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await run("wherry", "manifest", ...args);
      expect([args.join(" "), code, stderr]).toEqual([args.join(" "), 1, `${message}\n`]);
    }
    await ok("wherry", "manifest", "create", "other.example/x:1", at("one:1"));
    expect((await run("wherry", "manifest", "push", "other.example/x:1")).stderr).toContain(
      `cannot use source images from a different registry than the target image: ${registry.host} != other.example`,
    );
    await ok("wherry", "manifest", "rm", at("list:1"), "other.example/x:1");
  }, 60_000);

  test.skipIf(dockerCli === null)(
    "is the same to docker's command line, half made by each (skipped without it)",
    async () => {
      const digests: string[] = [];
      for (const [first, second] of [
        ["docker", "wherry"],
        ["wherry", "docker"],
      ] as const) {
        await ok(first, "manifest", "create", "--insecure", at("mixed:1"), at("one:1"));
        await ok(second, "manifest", "create", "--insecure", "--amend", at("mixed:1"), at("two:1"));
        await ok(
          first,
          "manifest",
          "annotate",
          at("mixed:1"),
          at("two:1"),
          "--arch",
          "arm",
          "--variant",
          "v7",
        );
        const words = ["annotate", at("mixed:1"), at("two:1"), "--os-version", "1", "--os-features", "a,b"];
        await ok(second, "manifest", ...words);
        for (const how of [[at("mixed:1")], [at("mixed:1"), at("two:1")], ["-v", at("mixed:1"), at("one:1")]])
          expect(await ok(first, "manifest", "inspect", ...how)).toBe(
            await ok(second, "manifest", "inspect", ...how),
          );
        digests.push((await ok(second, "manifest", "push", "--insecure", "-p", at("mixed:1"))).trim());
        for (const how of [[at("mixed:1")], ["-v", at("one:1")], ["-v", at("mixed:1")]]) {
          const [theirs, ours] = [
            await ok("docker", "manifest", "inspect", "--insecure", ...how),
            await ok("wherry", "manifest", "inspect", ...how),
          ];
          expect(JSON.parse(ours)).toEqual(JSON.parse(theirs));
        }
      }
      expect(digests[0]?.split("\n").at(-1)).toBe(digests[1]?.split("\n").at(-1) ?? "none");
      rmSync(join(config, "manifests"), { recursive: true, force: true });
    },
    90_000,
  );
});
