/**
 * The zoo of Dockerfiles, built by the docker CLI with buildx on wherry and on another engine (WHERRY_TEST_PEER, Docker 26 or
 * newer): what comes of each is compared file by file and field by field. WHERRY_TEST_ROWS: those with that in their names.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "#client/client.ts";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { refused } from "./dockerfile-refused.ts";
import { type ZooCase, zoo } from "./dockerfile-zoo.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { importBase } from "./language/base-image.ts";
import { type ImageSeen, readImages } from "./language/image-seen.ts";
import { base } from "./language/row.ts";

const peer = process.env["WHERRY_TEST_PEER"];
const only = process.env["WHERRY_TEST_ROWS"];

if (peer === undefined) test.skip("another engine agrees: WHERRY_TEST_PEER names none", () => undefined);
else if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx: npm run setup -- --tests", () => undefined);
else compare(peer);

/** What came of it: words of a failure are each engine's own. */
type Made = ImageSeen | "fails";

function compare(peerHost: string): void {
  let engine: EngineUnderTest;
  let buildx: BuildxUnderTest;
  beforeAll(async () => {
    engine = await EngineUnderTest.start();
    buildx = new BuildxUnderTest(engine);
  });
  afterAll(async () => await engine[Symbol.asyncDispose]());

  /** By the name of the case. */
  async function made(client: Client, host: string, cases: readonly ZooCase[]): Promise<Map<string, Made>> {
    await importBase(client);
    const found = new Map<string, Made>();
    for (const [index, { name, dockerfile, files = {}, flags = [] }] of cases.entries()) {
      const tag = `wherry-zoo-peer:${index}`;
      const text = dockerfile.replaceAll(/(FROM (?:--platform=\S+ )?|from=)busybox\b/g, `$1${base}`);
      const context = buildx.context(`zoo-${index}`, { Dockerfile: text, ...files });
      const args = ["build", "--no-cache", "--progress", "plain", ...flags, "-t", tag, context];
      const { code } = await buildx.docker(args, { env: { DOCKER_HOST: host } });
      if (code !== 0) found.set(name, "fails");
      else {
        const image = (await readImages(await client.images.save([tag]))).get(tag);
        if (image !== undefined) found.set(name, image);
        await client.images.remove(tag, { force: true });
      }
    }
    return found;
  }

  test("each comes to the same on both", async () => {
    const chosen = [...zoo, ...refused].filter(
      ({ name, newer }) => newer !== true && (only === undefined || name.includes(only)),
    );
    const ours = await made(await engine.client(), engine.host, chosen);
    const theirs = await made(await Client.connect({ host: peerHost }), peerHost, chosen);
    expect(ours.size).toBe(chosen.length);
    const differing: Record<string, readonly string[]> = {};
    for (const [name, own] of ours) {
      const differences = differencesOf(own, theirs.get(name));
      if (differences.length > 0) differing[name] = differences;
    }
    expect(differing).toEqual({});
  }, 600_000);
}

function differencesOf(own: Made, other: Made | undefined): string[] {
  if (own === "fails" || other === "fails" || other === undefined)
    return own === other
      ? []
      : [`ours ${own === "fails" ? own : "built"}, theirs ${other === "fails" ? other : "built"}`];
  const names = new Set([...own.files.keys(), ...other.files.keys()]);
  const files = [...names].flatMap((name) => {
    const [mine, its] = [own.files.get(name)?.words, other.files.get(name)?.words];
    return mine === its ? [] : [`${name}: ours ${mine ?? "none"}, theirs ${its ?? "none"}`];
  });
  const [mine, its] = [told(own), told(other)];
  const fields = [...new Set([...Object.keys(mine), ...Object.keys(its)])].flatMap((key) =>
    Bun.deepEquals(mine[key], its[key])
      ? []
      : [`${key}: ours ${JSON.stringify(mine[key])}, theirs ${JSON.stringify(its[key])}`],
  );
  return [...files, ...fields];
}

/** Configuration and history, without times and digests, and without what says nothing. */
function told({ config: { config, history, author } }: ImageSeen): Record<string, unknown> {
  const lines = (history ?? []).map(({ created_by, empty_layer, comment }) => ({
    created_by,
    empty_layer,
    comment,
  }));
  const fields = Object.entries(config).filter(
    ([, value]) => value !== null && value !== "" && value !== false && !Bun.deepEquals(value, []),
  );
  return { ...Object.fromEntries(fields), author, history: lines };
}
