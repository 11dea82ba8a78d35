/** The zoo of Dockerfiles, built by the docker CLI with buildx, unmodified. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { refused } from "./dockerfile-refused.ts";
import { type ZooCase, zoo } from "./dockerfile-zoo.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx: npm run setup -- --tests", () => undefined);
else describe("Dockerfiles as people write them", cases);

/** Builds at a time: most of each is the client's start. */
const atOnce = 4;

function cases(): void {
  let engine: EngineUnderTest;
  let buildx: BuildxUnderTest;
  beforeAll(async () => {
    engine = await EngineUnderTest.start();
    await engine.importBusybox();
    buildx = new BuildxUnderTest(engine);
  });
  afterAll(async () => await engine[Symbol.asyncDispose]());

  /** What is wrong with it, if anything. */
  async function wrong(each: ZooCase, index: number): Promise<string | undefined> {
    const { dockerfile, files = {}, flags = [], config = {}, fails } = each;
    const context = buildx.context(`zoo-${index}`, { Dockerfile: dockerfile, ...files });
    const built = await buildx.build(...flags, "-t", `zoo-${index}`, context);
    if (fails !== undefined)
      return built.code !== 0 && built.stderr.includes(fails) ? undefined : `should fail: ${built.stderr}`;
    if (built.code !== 0) return built.stderr;
    const client = await engine.client();
    const image = await client.images.inspect(`zoo-${index}`);
    const there = image.Config as unknown as Record<string, unknown>;
    const differing = Object.keys(config).filter((key) => !Bun.deepEquals(there[key], config[key]));
    return differing.length === 0
      ? undefined
      : `${differing[0]}: ${JSON.stringify(there[differing[0] ?? ""])}`;
  }

  test("come to what they should", async () => {
    const pending = [...[...zoo, ...refused].entries()];
    const found: Record<string, string> = {};
    const worker = async () => {
      for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
        const what = await wrong(next[1], next[0]);
        if (what !== undefined) found[next[1].name] = what;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    expect(found).toEqual({});
  }, 120_000);

  test("leave nothing running or mounted", async () => {
    const client = await engine.client();
    expect(await client.containers.list({ all: true })).toEqual([]);
    expect(mountsBeneath(engine.directory).filter(({ type }) => type !== "nsfs")).toEqual([]);
  });

  test("are in the cache's account, and go with it", async () => {
    const df = await engine.cli("docker", ["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]);
    expect(Number(/Build Cache (\d+)/.exec(df.stdout)?.[1])).toBeGreaterThan(20);
    const pruned = await engine.cli("docker", ["builder", "prune", "-af"]);
    expect(pruned.stdout).toMatch(/Total(?: reclaimed space)?:/);
    const after = await engine.cli("docker", ["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]);
    expect(after.stdout).toContain("Build Cache 0");
  });
}
