/** Where builds take their files from: repositories, addresses, archives; over buildx, `wherry build` and `POST /build`. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { BuildxUnderTest, buildxPlugin } from "./buildx-under-test.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { git, gitServer, SourceLab } from "./source-lab.ts";

if (buildxPlugin === undefined || gitServer === undefined)
  test.skip("this machine has no buildx or no git", () => undefined);
else describe("sources of builds", cases);

/** Of one test: git starts many programs for each fetch. */
const patienceMs = 120_000;

function cases(): void {
  let engine: EngineUnderTest;
  let buildx: BuildxUnderTest;
  let lab: SourceLab;
  let first = "";
  let second = "";
  beforeAll(async () => {
    engine = await EngineUnderTest.start();
    await engine.importBusybox();
    buildx = new BuildxUnderTest(engine);
    lab = new SourceLab(engine);
    const tree = await lab.repository("app", {
      Dockerfile: "FROM busybox\nCOPY a /a\nCMD cat /a\n",
      a: "one\n",
      "sub/Dockerfile": "FROM busybox\nCOPY . /sub\nCMD ls /sub\n",
      "sub/inner": "inner\n",
    });
    first = await git(tree, "rev-parse", "HEAD");
    await git(tree, "tag", "-a", "v1", "-m", "one");
    await git(tree, "checkout", "-q", "-b", "next");
    second = await lab.commit(tree, { a: "two\n" });
    symlinkSync("/usr/share", join(tree, "abs"));
    symlinkSync("../../../../../../../usr", join(tree, "up"));
    await lab.commit(tree, {});
    await git(tree, "checkout", "-q", "main");
    const directory = buildx.context("tarred", {
      Dockerfile: "FROM busybox\nCOPY x /\nCMD cat /x\n",
      x: "X\n",
    });
    const packed = await Bun.$`tar -czC ${directory} .`.arrayBuffer();
    lab.files.set("/context.tar.gz", new Uint8Array(packed));
  });
  afterAll(async () => {
    lab[Symbol.dispose]();
    await engine[Symbol.asyncDispose]();
  });

  const repository = () => lab.url("/app.git");
  const run = async (image: string) => (await buildx.ok(["run", "--rm", image])).stdout;

  /** `POST /build` as it is: the status and the messages. */
  async function post(
    query: Readonly<Record<string, string>>,
    body?: Uint8Array,
  ): Promise<{ status: number; text: string }> {
    const { host } = engine;
    const answer = await fetch(`http://engine/v1.45/build?${new URLSearchParams(query)}`, {
      ...{ unix: host.slice("unix://".length), method: "POST" },
      ...(body !== undefined && { body: body as Uint8Array<ArrayBuffer> }),
    });
    return { status: answer.status, text: await answer.text() };
  }

  test(
    "a repository is a context: its branch, a tag, a commit, a directory in it",
    async () => {
      await buildx.ok(["build", "-t", "git", `${repository()}#next`]);
      expect(await run("git")).toBe("two\n");
      await buildx.ok(["build", "-t", "git", `${repository()}#v1`]);
      expect(await run("git")).toBe("one\n");
      const commit = await engine.cli("wherry", ["build", "-t", "git", `${repository()}#${second}`]);
      expect(`${commit.stderr}${commit.code}`).toEndWith("0");
      expect(await run("git")).toBe("two\n");
      await buildx.ok(["build", "-t", "git", `${repository()}#main:sub`]);
      expect(await run("git")).toBe("Dockerfile\ninner\n");
    },
    patienceMs,
  );

  test("what a repository does not have is said", async () => {
    const branch = await buildx.build(`${repository()}#nowhere`);
    expect([branch.code, branch.stderr]).toEqual([
      1,
      expect.stringContaining("does not contain ref nowhere"),
    ]);
    const directory = await buildx.build(`${repository()}#main:none`);
    expect([directory.code, directory.stderr]).toEqual([
      1,
      expect.stringContaining("none: no such directory"),
    ]);
    const unknown = await buildx.build(lab.url("/unknown.git"));
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("unknown.git")]);
  });

  test("a link in a repository leads nowhere outside of it", async () => {
    for (const path of ["abs", "up/share", "up/../../usr"]) {
      const refused = await buildx.build(`${repository()}#next:${path}`);
      expect([path, refused.code, refused.stderr]).toEqual([
        path,
        1,
        expect.stringContaining("no such directory"),
      ]);
    }
    const named = await buildx.build(
      ...["--build-context", `x=${repository()}#next`, "-f", "-"],
      buildx.context("escape", { Dockerfile: "FROM busybox\nCOPY --from=x up/bin/env /\n" }),
    );
    expect(named.code).toBe(1);
  });

  test(
    "ADD of a repository: a ref, a directory, git's own, a commit that must be",
    async () => {
      const file = (...lines: string[]) =>
        buildx.context("add", { Dockerfile: ["FROM busybox", ...lines].join("\n") });
      const app = repository();
      const context = file(
        `ADD ${app}#next /next`,
        `ADD ${app}#main:sub /sub`,
        `ADD --keep-git-dir ${app} /kept`,
        `ADD --checksum=${first} ${app}#v1 /v1`,
        `RUN test "$(cat /next/a /sub/inner /kept/a /v1/a)" = "$(printf 'two\\ninner\\none\\none')"`,
        "RUN test -e /kept/.git/HEAD && ! test -e /v1/.git && ! test -e /sub/Dockerfile/.git",
      );
      const built = await buildx.build(context);
      expect(`${built.stderr}${built.code}`).toEndWith("0");
      expect((await buildx.build(context)).stderr).toMatch(/RUN test -e[^\n]*\n#\d+ CACHED/);
      const wrong = await buildx.build(file(`ADD --checksum=${second} ${app}#v1 /v1`));
      expect([wrong.code, wrong.stderr]).toEqual([
        1,
        expect.stringContaining(`expected checksum to match ${second}`),
      ]);
    },
    patienceMs,
  );

  test("a repository that wants to know who asks", async () => {
    await lab.repository("private", { Dockerfile: "FROM busybox\nCMD echo private\n" });
    lab.authorization = `basic ${Buffer.from("x-access-token:tok").toString("base64")}`;
    try {
      const address = lab.url("/private.git");
      expect((await buildx.build(address)).code).toBe(1);
      const secret = ["--secret", "id=GIT_AUTH_TOKEN,env=TOKEN"];
      await buildx.ok(["build", "-t", "private", ...secret, address], { env: { TOKEN: "tok" } });
      expect(await run("private")).toBe("private\n");
    } finally {
      lab.authorization = undefined;
    }
  });

  test("an archive and a Dockerfile by their addresses are contexts", async () => {
    lab.files.set("/Other", "FROM busybox\nCMD echo alone\n");
    lab.files.set("/gone", 404);
    await buildx.ok(["build", "-t", "url", lab.url("/context.tar.gz")]);
    expect(await run("url")).toBe("X\n");
    await buildx.ok(["build", "-t", "url", lab.url("/Other")]);
    expect(await run("url")).toBe("alone\n");
    expect((await buildx.build(lab.url("/gone"))).stderr).toContain("404");
  });

  test("ADD of an address, with the checksum it must have", async () => {
    lab.files.set("/file", "content");
    const digest = new Bun.CryptoHasher("sha256").update("content").digest("hex");
    const address = lab.url("/file");
    const build = async (flag: string) =>
      await buildx.build(
        buildx.context("sum", {
          Dockerfile: `FROM busybox\nADD ${flag} ${address} /f\nRUN test "$(cat /f)" = content\n`,
        }),
      );
    expect((await build(`--checksum=sha256:${digest}`)).code).toBe(0);
    const wrong = await build(`--checksum=sha256:${"0".repeat(64)}`);
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining(`digest mismatch sha256:${digest}`),
    ]);
    expect(wrong.stderr).toContain(">>> ADD");
    const bad = await build("--checksum=md5:1234");
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining("checksum")]);
  });

  test("the same without BuildKit: `remote` of POST /build", async () => {
    expect((await post({ remote: repository(), t: "classic" })).text).toContain(
      "Successfully tagged classic:latest",
    );
    expect(await run("classic")).toBe("one\n");
    await post({ remote: `${repository()}#next`, t: "classic" });
    expect(await run("classic")).toBe("two\n");
    const archive = await post({ remote: lab.url("/context.tar.gz"), t: "classic" });
    expect(archive.text).toStartWith(
      `{"status":"${lab.url("/context.tar.gz")}","progressDetail":{"current":`,
    );
    expect(await run("classic")).toBe("X\n");
    await post({ remote: lab.url("/Other"), t: "classic", q: "1" });
    expect(await run("classic")).toBe("alone\n");
    expect(await post({ remote: lab.url("/gone") })).toEqual({
      status: 404,
      text: expect.stringContaining(`error downloading remote context ${lab.url("/gone")}: failed to GET`),
    });
    for (const remote of ["ftp://x/y", "client-session", `${repository()}#none`, `${repository()}#next:abs`])
      expect([remote, (await post({ remote })).status >= 400]).toEqual([remote, true]);
  });

  test("and with it in one request: version 2", async () => {
    const built = await post({ version: "2", remote: repository(), t: "posted" });
    expect(built.text).toMatch(/"id":"moby.buildkit.trace"[\s\S]*"id":"moby.image.id","aux":{"ID":"sha256:/);
    expect(await run("posted")).toBe("one\n");
    expect((await post({ version: "2", remote: `${repository()}#none` })).text).toContain('"error":');
    const archive = lab.files.get("/context.tar.gz") as Uint8Array;
    await post({ version: "2", t: "posted" }, archive);
    expect(await run("posted")).toBe("X\n");
    // As Docker's CLI before 23.0 sends what comes from its stdin.
    const [, waiting] = await Promise.all([
      post({ version: "2", buildid: "upload-request:u1" }, archive),
      post({ version: "2", buildid: "u1", remote: "upload-request", t: "uploaded" }),
    ]);
    expect(waiting.text).toContain("moby.image.id");
    expect(await run("uploaded")).toBe("X\n");
  });

  test("leave nothing behind", async () => {
    expect(await engine.leaks()).toEqual([]);
  });
}
