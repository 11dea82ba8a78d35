/** `system df -v`: images of other platforms, which stand behind a name, have rows as well. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const run = async (program: string, ...args: string[]) => {
  const { code, stdout, stderr } = await engine.cli(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit ${code}: ${stderr}`);
  return stdout;
};

test("a row for each platform, and rows that add up to the sum", async () => {
  const context = join(engine.directory, "context");
  mkdirSync(context);
  writeFileSync(join(context, "file"), Buffer.alloc(100_000, "x"));
  writeFileSync(
    join(context, "Dockerfile"),
    "FROM scratch\nARG TARGETARCH\nCOPY file /\nCOPY file /$TARGETARCH\n",
  );
  await run("wherry", "build", "-q", "--platform", "linux/amd64,linux/arm64", "-t", "both", context);
  await run("wherry", "tag", "both", "again:2");
  const client = await engine.client();
  const { Images, LayersSize } = await client.diskUsage(["image"]);
  const rows = (Images ?? []).map(({ RepoTags }) => RepoTags);
  expect(rows).toEqual([
    ["again:2", "both:latest"],
    ["again:2", "both:latest"],
  ]);
  expect(new Set(Images?.map(({ Id }) => Id)).size).toBe(2);
  // The first layer is both's: it is in each row, and once in the sum.
  const unique = (Images ?? []).map(({ Size, SharedSize }) => Size - SharedSize);
  expect(unique).toEqual([100_000, 100_000]);
  const [shared] = Images ?? [];
  expect(LayersSize).toBe(300_000);
  expect(shared?.SharedSize).toBe(100_000);
  for (const program of ["wherry", ...(dockerCli === null ? [] : ["docker"])]) {
    const table = await run(program, "system", "df", "-v");
    const lines = table.split("\n").filter((line) => /^(again|both) /.test(line));
    expect([program, lines.length]).toEqual([program, 2]);
    for (const line of lines) expect(line).toContain("100kB");
    expect(await run(program, "system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}")).toContain(
      "Images 2 300kB",
    );
  }
}, 30_000);
