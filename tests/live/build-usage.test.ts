/** What builds keep, as `system df` and `builder prune` tell it: word for word what docker's CLI prints. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

const dockerfile =
  "FROM busybox\nRUN --mount=type=cache,target=/cache head -c 123456 /dev/zero > /kept && head -c 50000 /dev/zero > /cache/x\nRUN echo x > /more\n";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function printed(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.cli(program, args);
  expect([program, args, code, stderr]).toEqual([program, args, 0, ""]);
  return stdout;
}

/** Moments pass between two calls; a column is as wide as they are. */
function timeless(table: string): string {
  return table
    .replace(/(?:Less than a second|\d+ seconds?|About a minute) ago/g, "AGO")
    .replace(/ {2,}/g, "  ");
}

async function build(...flags: string[]): Promise<void> {
  const { code, stderr } = await engine.cli("wherry", ["build", "-q", ...flags, "-"], { input: dockerfile });
  expect([code, stderr]).toEqual([0, ""]);
}

test("the cache that no image shares counts, and comes back by pruning", async () => {
  await build("-t", "built");
  const row = async () => {
    const format = "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}";
    return (await printed("wherry", "system", "df", "--format", format))
      .split("\n")
      .find((line) => line.startsWith("Build"));
  };
  expect(await row()).toBe("Build Cache|4|0|50.14kB|50.14kB");
  await printed("wherry", "rmi", "built");
  expect(await row()).toBe("Build Cache|4|0|173.6kB|173.6kB");
  expect(await printed("wherry", "builder", "prune", "-af")).toMatch(
    /^Deleted build cache objects:\n(?:\S+\n){4}\nTotal reclaimed space: 173\.6kB\n$/,
  );
  expect(await row()).toBe("Build Cache|0|0|0B|0B");
});

test.skipIf(dockerCli === null)(
  `docker's CLI prints the same${dockerCli === null ? " (there is none)" : ""}`,
  async () => {
    await build("-t", "built");
    for (const args of [
      ["system", "df"],
      ["system", "df", "-v"],
    ])
      expect(timeless(await printed("wherry", ...args))).toBe(timeless(await printed("docker", ...args)));
    await printed("wherry", "rmi", "built");
    // It also says that the classic builder is deprecated.
    const { stdout: docker } = await engine.cli("docker", ["builder", "prune", "-af"]);
    await build("-t", "built");
    await printed("wherry", "rmi", "built");
    const ids = /^[a-z0-9]{24,25}$/gm;
    const own = await printed("wherry", "builder", "prune", "-af");
    expect(own.replace(ids, "ID")).toBe(docker.replace(ids, "ID"));
  },
);
