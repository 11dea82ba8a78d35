/** `docker build` as people have it: the docker CLI with buildx, unmodified. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BuildxUnderTest, buildxPlugin, composePlugin } from "./buildx-under-test.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

if (buildxPlugin === undefined)
  test.skip("the docker CLI has no buildx plugin on this machine", () => undefined);
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
    expect(stderr).toContain("   2 |     RUN true\n   3 | >>> RUN exit 7\n");
    expect(stderr).toContain('process "/bin/sh -c exit 7" did not complete successfully: exit code: 7');
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

  test("a Dockerfile from stdin, a tar from stdin, one of another name", async () => {
    const context = buildx.context("stdin", { "x/Other": "FROM busybox\nLABEL from=other\n", a: "A\n" });
    const text = "FROM busybox\nCOPY a /a\nCMD cat /a\n";
    await buildx.ok(["build", "-t", "stdin", "-f", "-", context], { input: text });
    expect((await buildx.ok(["run", "--rm", "stdin"])).stdout).toBe("A\n");
    await buildx.ok(["build", "-t", "other", "-f", join(context, "x/Other"), context]);
    const label = await buildx.ok(["image", "inspect", "-f", "{{.Config.Labels.from}}", "other"]);
    expect(label.stdout).toBe("other\n");
    writeFileSync(join(context, "Dockerfile"), text);
    const tar = await Bun.$`tar -cC ${context} .`.text();
    await buildx.ok(["build", "-t", "tarred", "-"], { input: tar });
    expect((await buildx.ok(["run", "--rm", "tarred"])).stdout).toBe("A\n");
  });

  test("arguments, targets, hosts, networks, named contexts, .dockerignore", async () => {
    const other = buildx.context("other", { named: "N\n" });
    const context = buildx.context("options", {
      Dockerfile: [
        "FROM busybox AS first",
        "ARG WORD=no",
        'RUN test "$WORD" = yes && grep "192.0.2.7.*elsewhere" /etc/hosts && ! ls /sys/class/net/eth0',
        "COPY --from=other named /",
        "COPY . /all",
        "FROM first AS second",
        "RUN false",
      ].join("\n"),
      ".dockerignore": "secret*\n!secret.ok\n",
      "secret.txt": "",
      "secret.ok": "",
    });
    const flags = ["--build-arg", "WORD=yes", "--target", "first", "--add-host", "elsewhere:192.0.2.7"];
    const more = ["--network", "none", "--build-context", `other=${other}`, "--label", "l=m"];
    await buildx.ok(["build", "-t", "options", ...flags, ...more, context]);
    const { stdout } = await buildx.ok([
      "run",
      "--rm",
      "options",
      "sh",
      "-c",
      "cat /named; ls -a /all | grep secret",
    ]);
    expect(stdout).toBe("N\nsecret.ok\n");
    const label = await buildx.ok(["image", "inspect", "-f", "{{.Config.Labels.l}}", "options"]);
    expect(label.stdout).toBe("m\n");
  });

  test("secrets are there for a step and nowhere after", async () => {
    const context = buildx.context("secrets", {
      Dockerfile:
        "FROM busybox\nRUN --mount=type=secret,id=token cat /run/secrets/token | tr a-z A-Z >/seen\nRUN --mount=type=secret,id=none,required=true true\n",
    });
    const secret = buildx.place("token");
    writeFileSync(secret, "shush");
    const missing = await buildx.build("--secret", `id=token,src=${secret}`, context);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("secret none: not found");
    await buildx.ok([
      "build",
      "-t",
      "secrets",
      "--secret",
      `id=token,src=${secret}`,
      "--secret",
      `id=none,src=${secret}`,
      context,
    ]);
    const { stdout } = await buildx.ok([
      "run",
      "--rm",
      "secrets",
      "sh",
      "-c",
      "cat /seen; ls /run/secrets 2>&1; true",
    ]);
    expect(stdout).toStartWith("SHUSH");
    expect(stdout).not.toContain("token");
  });

  test("calling off ends the step", async () => {
    const context = buildx.context("endless", { Dockerfile: "FROM busybox\nRUN echo begun; sleep 1000\n" });
    const child = engine.spawn("docker", ["build", "--progress", "plain", context], buildx.environment);
    let told = "";
    for await (const part of child.stderr as AsyncIterable<Buffer>) {
      told += part.toString();
      if (/#\d+ [0-9.]+ begun/.test(told)) break;
    }
    const ended = once(child, "exit");
    child.kill("SIGINT");
    child.kill("SIGINT");
    await ended;
    expect(await engine.leaks()).toEqual([]);
  });

  test("bake shares a context, and links targets", async () => {
    const context = buildx.context("bake", {
      base: "FROM busybox\nCOPY a /a\n",
      app: "FROM base\nCOPY b /b\nCMD cat /a /b\n",
      side: "FROM busybox\nCOPY b /\nCMD cat /b\n",
      a: "A\n",
      b: "B\n",
      "docker-bake.hcl": [
        'group "default" { targets = ["app", "side"] }',
        'target "base" { dockerfile = "base" }',
        'target "app" {',
        '  dockerfile = "app"',
        '  contexts = { base = "target:base" }',
        '  tags = ["baked-app"]',
        "}",
        'target "side" {',
        '  dockerfile = "side"',
        '  tags = ["baked-side"]',
        "}",
      ].join("\n"),
    });
    const file = join(context, "docker-bake.hcl");
    await buildx.ok(["buildx", "bake", "--progress", "plain", "-f", file, "--set", `*.context=${context}`]);
    expect((await buildx.ok(["run", "--rm", "baked-app"])).stdout).toBe("A\nB\n");
    expect((await buildx.ok(["run", "--rm", "baked-side"])).stdout).toBe("B\n");
  });

  test.skipIf(composePlugin === undefined)("compose builds two services of one context", async () => {
    const context = buildx.context("composed", {
      "one.Dockerfile": "FROM busybox\nCOPY a /\nCMD cat /a\n",
      "two.Dockerfile": "FROM busybox\nCOPY a /b\nCMD cat /b\n",
      a: "A\n",
      "compose.yaml":
        "services:\n  one: {build: {context: ., dockerfile: one.Dockerfile}, image: composed-one}\n  two: {build: {context: ., dockerfile: two.Dockerfile}, image: composed-two}\n",
    });
    await buildx.ok(["compose", "-f", join(context, "compose.yaml"), "build"]);
    for (const name of ["one", "two"])
      expect((await buildx.ok(["run", "--rm", `composed-${name}`])).stdout).toBe("A\n");
  });

  test("du, prune, ls, inspect and history", async () => {
    const context = buildx.context("used", { Dockerfile: "FROM busybox\nCOPY a /\n", a: "A\n" });
    await buildx.ok(["build", context]);
    expect((await buildx.ok(["buildx", "du", "--verbose"])).stdout).toMatch(/Type:\s+source.local/);
    expect((await buildx.ok(["buildx", "ls"])).stdout).toMatch(/default\*?\s+.*docker[\s\S]*running/);
    const { stdout: inspected } = await buildx.ok(["buildx", "inspect"]);
    expect(inspected).toContain("host-gateway-ip");
    expect((await buildx.ok(["builder", "prune", "-af"])).stdout).toMatch(/Total:\s/);
    expect((await buildx.ok(["buildx", "du", "--verbose"])).stdout).not.toContain("source.local");
  });
}
