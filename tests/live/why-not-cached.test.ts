/** `wherry build why-not-cached`: what had changed when a step was done again. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let directory: string;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  directory = join(engine.directory, "app");
  put("Dockerfile", dockerfile);
  for (const name of ["src/a.js", "src/lib/b.js", "src/c.js", "notes"]) put(name, name);
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const dockerfile = [
  "FROM busybox AS base",
  "RUN echo tools >/tools",
  "FROM base",
  "COPY src /src",
  "ARG VERSION=1",
  "RUN --mount=type=bind,source=notes,target=/n echo $VERSION >/version",
  "COPY notes /notes",
  "",
].join("\n");

function put(path: string, text: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
}

async function wherry(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.cli("wherry", args);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** Builds, and gives what is said of it, without its first line. */
async function why(...flags: readonly string[]): Promise<string> {
  await wherry("build", ...flags, directory);
  const [head = "", ...rest] = (await wherry("build", "why-not-cached")).split("\n");
  expect(head).toStartWith(`Dockerfile of ${directory}, built `);
  return [head.slice(head.indexOf(" ago") + 6), ...rest].join("\n").trim();
}

const steps = {
  tools: "[base 2/2] RUN echo tools >/tools",
  src: "[stage-1 1/3] COPY src /src",
  version: "[stage-1 2/3] RUN --mount=type=bind,source=notes,target=/n echo 1 >/version",
  notes: "[stage-1 3/3] COPY notes /notes",
};

test("names files, arguments, bases; and tells new steps and pruned ones", async () => {
  const before = await engine.cli("wherry", ["build", "why-not-cached"]);
  expect([before.code, before.stderr]).toEqual([1, expect.stringContaining("no build is known")]);
  expect(await why()).toMatch(/^4 of 4 steps were done again\.\n\n[\s\S]*had no such step: it is new/);
  expect(await why()).toBe("all of its 4 steps were taken from the cache.");

  put("src/lib/b.js", "other");
  put("src/new.js", "new");
  rmSync(join(directory, "src/c.js"));
  const files = await why();
  expect(files).toStartWith(
    `3 of 4 steps were done again.\n\n${steps.src}\n  removed src/c.js\n  changed src/lib/b.js\n  added src/new.js\n`,
  );
  expect(files).toContain(`${steps.version}\n  changed the step before it, ${steps.src}\n`);

  // Back, which the cache knows, and then elsewhere: the difference is to what was built last.
  put("src/lib/b.js", "src/lib/b.js");
  rmSync(join(directory, "src/new.js"));
  put("src/c.js", "src/c.js");
  expect(await why()).toBe("all of its 4 steps were taken from the cache.");
  put("src/a.js", "only this");
  expect(await why()).toContain(`${steps.src}\n  changed src/a.js\n\n`);

  expect(await why("--build-arg", "VERSION=2")).toStartWith(
    `2 of 4 steps were done again.\n\n${steps.version.replace("echo 1", "echo 2")}\n  changed variable VERSION\n\n`,
  );
}, 120_000);

test("an argument, a mounted file, a base, no cache, a pruned one", async () => {
  put(
    "Dockerfile",
    dockerfile.replace("echo $VERSION", 'echo "$VERSION"').replace("COPY notes", "COPY --link notes"),
  );
  await wherry("build", directory);
  put("notes", "else");
  expect(await why()).toContain("\n  changed notes mounted on /n\n");

  put("to", "");
  put("Dockerfile", "FROM busybox\nARG TO=/a\nCOPY to $TO\n");
  await wherry("build", directory);
  expect(await why("--build-arg", "TO=/b")).toContain("COPY to /b\n  changed what its words mean");
  put("Dockerfile", "FROM busybox\nRUN true\n");
  await wherry("build", directory);

  const client = await engine.client();
  const other = await client.images.inspect("busybox");
  const [from] = (await wherry("create", "busybox")).split("\n");
  await wherry("cp", join(directory, "notes"), `${from}:/notes`);
  await wherry("commit", "-c", "ENV X=1", from ?? "", "busybox");
  expect((await client.images.inspect("busybox")).Id).not.toBe(other.Id);
  const base = await why();
  expect(base).toContain("[2/2] RUN true\n  changed the base image docker.io/library/busybox:latest");
  expect(base).toContain("added variable X");

  expect(await why("--no-cache")).toMatch(/^1 of 1 [\s\S]*\n {2}It was to be done again \(--no-cache\)\./);
  await wherry("builder", "prune", "-af");
  expect(await why()).toMatch(/^1 of 1 [\s\S]*\n {2}Nothing that it reads changed, .* pruned since\./);
}, 120_000);

test("by the place that was built, and as JSON", async () => {
  const side = join(engine.directory, "side");
  mkdirSync(side);
  writeFileSync(join(side, "Dockerfile"), "FROM busybox\nRUN exit 3\n");
  expect((await engine.cli("wherry", ["build", side])).code).toBe(1);
  const failed = await wherry("build", "why-not-cached", side);
  expect(failed).toContain("1 of 1 steps was done again.");
  expect(await wherry("build", "why-not-cached", directory)).toContain(`of ${directory},`);
  const [json] = JSON.parse(await wherry("build", "why-not-cached", "--format", "json", side));
  expect(json).toMatchObject({ Steps: 1, Missed: [{ Step: "[2/2] RUN exit 3", Kind: "new" }] });
  const nowhere = await engine.cli("wherry", ["build", "why-not-cached", "/nowhere"]);
  expect([nowhere.code, nowhere.stderr]).toEqual([
    1,
    expect.stringContaining("no build of /nowhere by wherry"),
  ]);
});
