// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have this syntax
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ClassicRequest } from "./builder.ts";
import { BuilderFixture, canBuild, inParts, tar } from "./builder-fixture.ts";

let fixture: BuilderFixture;
beforeEach(async () => {
  if (canBuild) fixture = await BuilderFixture.open();
});
afterEach(async () => {
  if (canBuild) await fixture[Symbol.asyncDispose]();
});

describe.skipIf(!canBuild)("a build that cannot work", () => {
  const thrown: [what: string, dockerfile: string, request: Partial<ClassicRequest>, message: string][] = [
    [
      "an unknown instruction",
      "FROM busybox\n\nFOO x\n",
      {},
      "dockerfile parse error on line 3: unknown instruction: FOO (did you mean FROM?)",
    ],
    ["words alone", "FROM busybox\nENV a\n", {}, "failed to parse Dockerfile: ENV must have two arguments"],
    ["no FROM", "RUN x\n", {}, "dockerfile parse error on line 1: no build stage in current context"],
    ["an empty Dockerfile", "", {}, "the Dockerfile (Dockerfile) cannot be empty"],
    [
      "a Dockerfile that is not there",
      "FROM busybox\n",
      { dockerfile: "nope" },
      "Cannot locate specified Dockerfile: nope",
    ],
    [
      "a Dockerfile outside the context",
      "FROM busybox\n",
      { dockerfile: "../../etc/passwd" },
      "Cannot locate specified Dockerfile: ../../etc/passwd",
    ],
    [
      "a stage that is not there",
      "FROM busybox AS build\n",
      { target: "bild" },
      'target stage "bild" could not be found (did you mean build?)',
    ],
    ["a bad tag", "FROM busybox\n", { tags: ["UPPER"] }, "must be lowercase"],
    [
      "a flag of BuildKit",
      "FROM busybox\nRUN --mount=type=cache,target=/c x\n",
      {},
      "line 2: the --mount option requires BuildKit",
    ],
    [
      "a remote context",
      "FROM busybox\n",
      { remote: "git://127.0.0.1:1/r.git" },
      "failed to fetch from git (ls-remote)",
    ],
  ];
  for (const [what, dockerfile, request, message] of thrown)
    test(`is refused before it says anything: ${what}`, async () => {
      await expect(fixture.build(dockerfile, {}, request)).rejects.toThrow(message);
      expect(await fixture.leftovers()).toEqual([]);
    });

  const told: [what: string, dockerfile: string, message: string][] = [
    ["a missing base", "FROM nope\n", "pull access denied for nope (Dockerfile line 1)"],
    ["a blank base", "ARG B\nFROM ${B}\n", "base name (${B}) should not be blank (Dockerfile line 2)"],
    ["nothing at all", "FROM scratch\n", "No image was generated. Is your Dockerfile empty?"],
    [
      "a missing file",
      "FROM busybox\nCOPY nope /\n",
      "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist (Dockerfile line 2)",
    ],
    [
      "no match",
      "FROM busybox\nCOPY nope* /\n",
      "COPY failed: no source files were specified (Dockerfile line 2)",
    ],
    [
      "several files for one",
      "FROM busybox\nCOPY Dockerfile Dockerfile /x\n",
      "When using COPY with more than one source file, the destination must be a directory and end with a / (Dockerfile line 2)",
    ],
    [
      "a climb",
      "FROM busybox\nADD ../x /\n",
      "ADD failed: forbidden path outside the build context: ../x () (Dockerfile line 2)",
    ],
    [
      "an unknown owner",
      "FROM busybox\nCOPY --chown=nobody Dockerfile /\n",
      "unable to convert uid/gid chown string to host mapping: can't find uid for user nobody: no such user: nobody (Dockerfile line 2)",
    ],
    [
      "a source that is no image",
      "FROM busybox\nCOPY --from=nope a /\n",
      "invalid from flag value nope: pull access denied for nope",
    ],
  ];
  for (const [what, dockerfile, message] of told)
    test(`says why: ${what}`, async () => {
      const { error } = await fixture.build(dockerfile);
      expect(error).toContain(message);
      expect(await fixture.leftovers()).toEqual([]);
    });

  test("gives the exit code of a command that failed, and keeps the steps before it for the next try", async () => {
    const { messages } = await fixture.build("FROM busybox\nRUN echo kept >/k\nRUN echo bad >/b; exit 3\n");
    expect(messages.at(-1)).toEqual({
      errorDetail: {
        code: 3,
        message:
          "The command '/bin/sh -c echo bad >/b; exit 3' returned a non-zero code: 3 (Dockerfile line 3)",
      },
      error: "The command '/bin/sh -c echo bad >/b; exit 3' returned a non-zero code: 3 (Dockerfile line 3)",
    });
    expect(await fixture.leftovers()).toEqual([]);
    expect((await fixture.build("FROM busybox\nRUN echo kept >/k\nRUN true\n")).text).toContain(
      "Using cache",
    );
  });

  test("that is quiet says everything when it fails", async () => {
    const { text, error } = await fixture.build("FROM busybox\nRUN echo loud; false\n", {}, { quiet: true });
    expect(text).toContain("loud\n");
    expect(error).toContain("returned a non-zero code: 1");
  });

  test("is cancelled by its signal while a command runs", async () => {
    const abort = new AbortController();
    const building = fixture.build(
      "FROM busybox\nRUN echo started; exec sleep 60\n",
      {},
      { signal: abort.signal },
    );
    while (fixture.engine.containers.running === 0) await Bun.sleep(5);
    await Bun.sleep(20);
    abort.abort();
    expect((await building).error).toBe("build cancelled");
    expect(fixture.engine.containers.running).toBe(0);
    expect(await fixture.leftovers()).toEqual([]);
  });

  test("is cancelled when nobody listens any more", async () => {
    const context = inParts(await tar({ Dockerfile: "FROM busybox\nRUN while :; do echo x; done\n" }));
    const iteration = fixture.builder.classic({ context, signal: new AbortController().signal });
    for await (const message of iteration) if ("stream" in message && message.stream.includes("x\n")) break;
    expect(fixture.engine.containers.running).toBe(0);
    expect(await fixture.leftovers()).toEqual([]);
  });

  test("is cancelled while its context arrives", async () => {
    const abort = new AbortController();
    async function* endless() {
      const bytes = await tar({ Dockerfile: "FROM busybox\n", big: Buffer.alloc(1 << 20) });
      yield bytes.subarray(0, 2000);
      abort.abort();
      await Bun.sleep(1);
      yield bytes.subarray(2000);
    }
    const iteration = fixture.builder.classic({ context: endless(), signal: abort.signal });
    await expect(iteration.next()).rejects.toMatchObject({ kind: "cancelled" });
    expect(await fixture.leftovers()).toEqual([]);
  });

  test("of an engine that died is swept when the next one opens", async () => {
    mkdirSync(join(fixture.root, "builder/work/build-dead/context"), { recursive: true });
    fixture.records.table("build-workspaces").put("build-dead", { parent: null });
    await fixture.layers.createWritable("build-dead", undefined);
    fixture.layers.mount("build-dead");
    await fixture.reopen();
    expect(await fixture.leftovers()).toEqual([]);
  });
});
