/** `docker build` as people have it: the docker CLI with buildx, unmodified. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx: npm run setup -- --tests", () => undefined);
else describe("docker build", cases);

function cases(): void {
  let engine: EngineUnderTest;
  let buildx: BuildxUnderTest;
  beforeAll(async () => {
    engine = await EngineUnderTest.start();
    await engine.importBusybox();
    buildx = new BuildxUnderTest(engine);
  });
  afterAll(async () => await engine[Symbol.asyncDispose]());

  test("builds, tells how it goes, and is cached the second time", async () => {
    const context = buildx.context("plain", {
      Dockerfile:
        "FROM busybox\nCOPY a.txt sub /\nRUN echo out-$((40+2)); cat /a.txt\nCMD cat /a.txt /b.txt\n",
      "a.txt": "first\n",
      "sub/b.txt": "second\n",
    });
    const built = await buildx.build("-t", "plain", context);
    expect(`${built.stderr}${built.code}`).toEndWith("0");
    expect(built.stderr).toMatch(/RUN echo out/);
    expect(built.stderr).toMatch(/#\d+ [0-9.]+ out-42\n#\d+ [0-9.]+ first\n/);
    expect(built.stderr).toMatch(
      /exporting to image[\s\S]*writing image sha256:[0-9a-f]{64}[\s\S]*naming to docker.io\/library\/plain:latest/,
    );
    expect((await buildx.ok(["run", "--rm", "plain"])).stdout).toBe("first\nsecond\n");
    const again = await buildx.build("-t", "plain", context);
    expect(again.stderr).toMatch(/RUN echo out[^\n]*\n#\d+ CACHED/);
    expect(again.stderr).not.toContain("out-42\n");
  });

  test("says the image's id where it is wanted", async () => {
    const context = buildx.context("ids", { Dockerfile: "FROM busybox\nLABEL a=b\n" });
    const iidfile = buildx.place("iid");
    const metadata = buildx.place("metadata.json");
    const files = ["--iidfile", iidfile, "--metadata-file", metadata];
    const { stdout } = await buildx.ok(["build", "-q", "-t", "ids", ...files, context]);
    const { stdout: inspected } = await buildx.ok(["image", "inspect", "-f", "{{.Id}}", "ids"]);
    expect(stdout).toBe(inspected);
    expect(readFileSync(iidfile, "utf8")).toBe(inspected.trim());
    const told = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, string>;
    expect(told["containerimage.config.digest"]).toBe(inspected.trim());
    expect(told["image.name"]).toBe("docker.io/library/ids:latest");
  });

  test("sends only what changed, and forgets what is gone", async () => {
    const big = "x".repeat(400_000);
    const context = buildx.context("changes", {
      Dockerfile: "FROM busybox\nCOPY . /all\nCMD ls /all; cat /all/d/small\n",
      big,
      "d/small": "one\n",
      gone: "",
    });
    await buildx.ok(["build", "-t", "changes", context]);
    writeFileSync(join(context, "d/small"), "two\n");
    await Bun.$`rm ${join(context, "gone")}`;
    await buildx.ok(["build", "-t", "changes", context]);
    expect((await buildx.ok(["run", "--rm", "changes"])).stdout).toBe("Dockerfile\nbig\nd\ntwo\n");
    expect(existsSync(join(engine.directory, "data", "contexts"))).toBe(true);
  });

  test("shows the lines of a step that fails", async () => {
    const context = buildx.context("fails", { Dockerfile: "FROM busybox\nRUN true\nRUN exit 7\n" });
    const { code, stderr } = await buildx.build(context);
    expect(code).toBe(1);
    expect(stderr).toMatch(/returned a non-zero code: 7|exit code: 7/);
  });

  test("-o local and tar bring files", async () => {
    const context = buildx.context("files", {
      Dockerfile:
        "FROM busybox AS a\nRUN mkdir -p /o/d && echo hi >/o/d/f && ln -s d/f /o/l && chmod 750 /o/d\nFROM scratch\nCOPY --from=a /o /\n",
    });
    const out = buildx.place("out");
    await buildx.ok(["build", "-o", out, context]);
    expect(readFileSync(join(out, "l"), "utf8")).toBe("hi\n");
    const tar = buildx.place("out.tar");
    await buildx.ok(["build", "-o", `type=tar,dest=${tar}`, context]);
    expect(await Bun.$`tar -tvf ${tar}`.text()).toMatch(
      /drwxr-x--- .* d\/\n-rw-r--r-- .* d\/f\nlrwxrwxrwx .* l -> d\/f/,
    );
  });
}
