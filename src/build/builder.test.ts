import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { fileAttributes } from "#store/trees/file-attributes.ts";
import type { ClassicRequest } from "./builder.ts";
import { BuilderFixture, canBuild, inParts, type TarFile, tar } from "./builder-fixture.ts";

let fixture: BuilderFixture;
beforeEach(async () => {
  if (canBuild) fixture = await BuilderFixture.open();
});
afterEach(async () => {
  if (canBuild) await fixture[Symbol.asyncDispose]();
});

const hide = (text: string) => text.replace(/\b[0-9a-f]{12}\b/g, "<id>");

describe.skipIf(!canBuild)("a build", () => {
  test("keeps no container of a RUN, and says so to whoever wants one", async () => {
    const { text } = await fixture.build("FROM busybox\nRUN echo kept >/k\n", {}, { remove: false });
    expect(text).toStartWith("[Warning] containers of RUN are not kept, whatever rm and forcerm say\n");
    expect(text).not.toContain("Removed intermediate container");
    expect(await fixture.leftovers()).toEqual([]);
  });

  test("says what dockerd says", async () => {
    const { messages, image } = await fixture.build(
      "FROM busybox AS b\nCOPY a.txt /x/\nRUN echo out; echo err >&2; echo hi >/hi\nENV A=b\nCMD echo hi\n",
      { "a.txt": "a" },
      { tags: ["cl:1", "other"], buildArgs: { UNUSED: "x" } },
    );
    const streams = messages.map((message) => ("stream" in message ? hide(message.stream) : message));
    // Both streams of one command arrive by their own ways.
    const output = streams.filter((line) => line === "out\n" || line === "\u001b[91merr\n\u001b[0m");
    expect(output).toHaveLength(2);
    expect(streams.filter((line) => !output.some((one) => one === line))).toEqual([
      "Step 1/5 : FROM busybox AS b",
      "\n",
      " ---> <id>\n",
      "Step 2/5 : COPY a.txt /x/",
      "\n",
      " ---> <id>\n",
      "Step 3/5 : RUN echo out; echo err >&2; echo hi >/hi",
      "\n",
      " ---> Running in <id>\n",
      " ---> Removed intermediate container <id>\n",
      " ---> <id>\n",
      "Step 4/5 : ENV A=b",
      "\n",
      " ---> <id>\n",
      "Step 5/5 : CMD echo hi",
      "\n",
      " ---> <id>\n",
      { aux: { ID: image!.record.id } },
      "[Warning] One or more build-args [UNUSED] were not consumed\n",
      "Successfully built <id>\n",
      "Successfully tagged cl:1\n",
      "Successfully tagged other:latest\n",
    ]);
    expect(fixture.engine.images.get("cl:1").record.id).toBe(image!.record.id);
    expect(await fixture.leftovers()).toEqual([]);
  });

  test("makes an image with the configuration and the history Docker would give it", async () => {
    const { image } = await fixture.build(
      'FROM busybox\nMAINTAINER me\nWORKDIR /w\nCOPY --chown=web a .\nRUN echo x >y\nRUN true\nEXPOSE 80\nENTRYPOINT ["/y"]\n',
      { a: "a" },
    );
    const { config } = image!;
    expect(config.config).toEqual({
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      WorkingDir: "/w",
      ExposedPorts: { "80/tcp": {} },
      Entrypoint: ["/y"],
    });
    expect(config.author).toBe("me");
    const history = config.history
      .slice(1)
      .map(({ created_by, empty_layer }) => [
        created_by?.replace(/[0-9a-f]{64}/, "<hash>"),
        empty_layer === true,
      ]);
    expect(history).toEqual([
      ["/bin/sh -c #(nop)  MAINTAINER me", true],
      ["/bin/sh -c #(nop) WORKDIR /w", false],
      ["/bin/sh -c #(nop) COPY --chown=web file:<hash> in . ", false],
      ["/bin/sh -c echo x >y", false],
      ["/bin/sh -c true", true],
      ["/bin/sh -c #(nop)  EXPOSE 80", true],
      ['/bin/sh -c #(nop)  ENTRYPOINT ["/y"]', true],
    ]);
    expect(config.rootfs.diff_ids).toHaveLength(4);
    expect(config.created).toBe(config.history.at(-1)!.created!);
  });

  test("has every step as a hidden parent, and shows only the last", async () => {
    const { image } = await fixture.build("FROM busybox\nENV A=1\nENV B=2\n");
    const parent = fixture.engine.images.get(image!.record.parent!);
    expect([image!.record.intermediate, parent.record.intermediate]).toEqual([false, true]);
    expect(parent.record.parent).toBe(fixture.engine.images.get("busybox").record.id);
  });

  test("is answered from the cache the second time, and gives the same image", async () => {
    const dockerfile = "FROM busybox\nARG V=1\nCOPY a /a\nRUN echo $V >/v\nCMD x\n";
    const first = await fixture.build(dockerfile, { a: { content: "a", mtime: new Date(1000) } });
    const second = await fixture.build(dockerfile, { a: { content: "a", mtime: new Date(9_000_000) } });
    expect(second.text.match(/ ---> Using cache\n/g)).toHaveLength(4);
    expect(second.image!.record.id).toBe(first.image!.record.id);
    expect(fixture.engine.containers.ran).toHaveLength(1);
  });

  const changes: [
    what: string,
    dockerfile: string,
    files: Record<string, TarFile>,
    request: Partial<ClassicRequest>,
    hits: number,
  ][] = [
    ["another file", "FROM busybox\nENV A=1\nCOPY a /a\nRUN cat /a\n", { a: "changed" }, {}, 1],
    [
      "another mode",
      "FROM busybox\nENV A=1\nCOPY a /a\nRUN cat /a\n",
      { a: { content: "a", mode: 0o600 } },
      {},
      1,
    ],
    ["another command", "FROM busybox\nENV A=1\nCOPY a /a\nRUN cat  /a\n", { a: "a" }, {}, 2],
    ["--no-cache", "FROM busybox\nENV A=1\nCOPY a /a\nRUN cat /a\n", { a: "a" }, { noCache: true }, 0],
    ["another author", "FROM busybox\nMAINTAINER x\nENV A=1\nCOPY a /a\n", { a: "a" }, {}, 0],
  ];
  for (const [what, dockerfile, files, request, hits] of changes)
    test(`uses the cache only up to ${what}`, async () => {
      await fixture.build("FROM busybox\nENV A=1\nCOPY a /a\nRUN cat /a\n", { a: "a" });
      const { text } = await fixture.build(dockerfile, files, request);
      expect(text.match(/Using cache/g) ?? []).toHaveLength(hits);
    });

  test("takes steps from images that are named for it, as far as their histories go", async () => {
    const first = await fixture.build("FROM busybox\nENV A=1\nRUN echo one >/one\nRUN echo two >/two\n");
    // As pulled: that it was made here is not known any more.
    const steps = fixture.records.table("build-cache");
    const forget = () => {
      for (const [key] of steps.entries()) steps.delete(key);
    };
    forget();
    const cacheFrom = ["not-here", first.image!.record.id];
    const same = "FROM busybox\nENV A=1\nRUN echo one >/one\nRUN echo two >/two\n";
    const again = await fixture.build(same, {}, { cacheFrom });
    expect(again.text.match(/Using cache/g)?.length).toBe(3);
    expect(again.image!.record.id).toBe(first.image!.record.id);
    forget();
    const other = await fixture.build(`${same.replace("two >", "2 >")}`, {}, { cacheFrom });
    expect(other.text.match(/Using cache/g)?.length).toBe(2);
    expect(
      await fixture.inspect(
        other,
        (root) => readFileSync(`${root}/one`, "utf8") + readFileSync(`${root}/two`, "utf8"),
      ),
    ).toBe("one\n2\n");
    forget();
    expect((await fixture.build(same.replace("A=1", "A=2"), {}, { cacheFrom })).text).not.toContain(
      "Using cache",
    );
    expect((await fixture.build(same, {}, { cacheFrom, noCache: true })).text).not.toContain("Using cache");
  });

  test("runs again when a build argument in scope changes, not when one out of scope does", async () => {
    const dockerfile = "FROM busybox\nRUN echo before\nARG V\nRUN echo $V\n";
    const with_ = (buildArgs: Record<string, string>) => fixture.build(dockerfile, {}, { buildArgs });
    await with_({ V: "1" });
    expect((await with_({ V: "2" })).text.match(/Using cache/g)).toHaveLength(2);
    expect((await with_({ V: "2", HTTP_PROXY: "http://127.0.0.1:1" })).text).not.toContain("Running in");
  });

  test("runs again when the cached image was removed", async () => {
    const first = await fixture.build("FROM busybox\nRUN echo x >/x\n");
    fixture.engine.images.byId.delete(first.image!.record.id);
    const second = await fixture.build("FROM busybox\nRUN echo x >/x\n");
    expect(second.text).toContain("Running in");
  });

  test("copies between stages by name and index, and from images", async () => {
    const built = await fixture.build(
      "FROM busybox AS one\nRUN echo 1 >/1 && chown 33:33 /1\nFROM busybox\nRUN mkdir /d && echo 2 >/d/2\nFROM scratch\nCOPY --from=one /1 /\nCOPY --from=1 d /d/\nCOPY --from=busybox /etc/passwd /etc/gr* /e/\n",
    );
    const found = await fixture.inspect(built, (at) => [
      readFileSync(join(at, "1"), "utf8"),
      readFileSync(join(at, "d/2"), "utf8"),
      readdirSync(join(at, "e")).sort().join(" "),
      Bun.file(join(at, "1")).size,
    ]);
    expect(found).toEqual(["1\n", "2\n", "group passwd", 2]);
    expect(built.image!.config.config.Env).toEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
  });

  test("keeps capabilities of files, also for another owner; a file with others is another one", async () => {
    const dockerfile = "FROM busybox AS one\nCOPY f /f\nFROM busybox\nCOPY --from=one --chown=33:33 /f /g\n";
    const built = async (permitted: string) => {
      const value = `\u0001\0\0\u0002\0${permitted}${"\0".repeat(14)}`;
      const f = { content: "f", mode: 0o755, pax: { "SCHILY.xattr.security.capability": value } };
      const outcome = await fixture.build(dockerfile, { f });
      const kept = await fixture.inspect(outcome, (at) => fileAttributes(join(at, "g")));
      expect(Buffer.from(kept.get("security.capability") ?? []).toString("latin1")).toBe(value);
    };
    await built("\u0004");
    await built("\u0008");
  });

  test("starts a stage from an earlier one, and ends with the target", async () => {
    const dockerfile =
      "FROM busybox AS a\nENV A=1\nFROM a AS b\nRUN echo $A >/a\nFROM scratch\nCOPY --from=b /a /\n";
    const target = await fixture.build(dockerfile, {}, { target: "b" });
    expect(await fixture.inspect(target, (at) => readFileSync(join(at, "a"), "utf8"))).toBe("1\n");
    expect(target.text).toContain("Step 3/4 : FROM a AS b");
  });

  test("runs the triggers of its base, which are gone afterwards", async () => {
    await fixture.build(
      "FROM busybox\nONBUILD COPY f /f\nONBUILD RUN cat /f >/g\n",
      {},
      { tags: ["parent"] },
    );
    const child = await fixture.build("FROM parent\nRUN cat /g\n", { f: "content" });
    expect(child.text).toContain("# Executing 2 build triggers\n");
    expect(child.text).toContain("content");
    expect(child.image!.config.config.OnBuild).toBeUndefined();
  });

  test("merges into a directory behind a link of the image, and keeps the link", async () => {
    const built = await fixture.build("FROM busybox\nCOPY d /var/run/\n", { "d/": "", "d/pid": "1" });
    expect(await fixture.inspect(built, (at) => existsSync(join(at, "run/pid")))).toBe(true);
    const names = await fixture.inspect(built, (at) =>
      readdirSync(join(at, "var"), { withFileTypes: true }).map((e) => [e.name, e.isSymbolicLink()]),
    );
    expect(names).toEqual([["run", true]]);
  });

  test("unpacks archives that ADD adds, but not those that COPY copies", async () => {
    const archive = gzipSync(await tar({ "in/": "", "in/side": "x" }));
    const built = await fixture.build("FROM busybox\nADD a.tgz /added\nCOPY a.tgz /copied/\n", {
      "a.tgz": archive,
    });
    const found = await fixture.inspect(built, (at) => [
      readFileSync(join(at, "added/in/side"), "utf8"),
      readdirSync(join(at, "copied")).join(),
    ]);
    expect(found).toEqual(["x", "a.tgz"]);
  });

  test("fetches what ADD names by address, and takes it as a file", async () => {
    const archive = gzipSync(await tar({ side: "x" }));
    using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(archive) });
    const dockerfile = `FROM busybox\nADD http://127.0.0.1:${server.port}/a.tgz /d/\n`;
    const built = await fixture.build(dockerfile);
    expect(await fixture.inspect(built, (at) => readdirSync(join(at, "d")).join())).toBe("a.tgz");
    expect((await fixture.build(dockerfile)).text).toContain("Using cache");
  });

  test("takes heredocs as commands and as files", async () => {
    const built = await fixture.build(
      "FROM busybox\nENV A=1\nRUN <<EOF\nset -e\necho one >/one\necho $A >>/one\nEOF\nCOPY <<f <<'g' /d/\n$A\nf\n$A\ng\n",
    );
    const found = await fixture.inspect(built, (at) =>
      ["one", "d/f", "d/g"].map((name) => readFileSync(join(at, name), "utf8")),
    );
    expect(found).toEqual(["one\n1\n", "1\n", "$A\n"]);
  });

  test("honours .dockerignore even when the client did not, exceptions included", async () => {
    const built = await fixture.build("FROM scratch\nCOPY . /\n", {
      ".dockerignore": "# comment\n.dockerignore\nDockerfile\nnode_modules\n**/*.log\nc++\n!keep/a.log\n",
      "node_modules/": "",
      "node_modules/x": "",
      "keep/": "",
      "keep/a.log": "",
      "keep/b.log": "",
      "c++": "",
      kept: "",
    });
    const names = await fixture.inspect(built, (at) =>
      (readdirSync(at, { recursive: true }) as string[]).sort(),
    );
    expect(names).toEqual(["keep", "keep/a.log", "kept"]);
  });

  test("takes a Dockerfile alone, a compressed context, and one of another name", async () => {
    const signal = new AbortController().signal;
    const run = async (context: Uint8Array, dockerfile?: string) => {
      const said: string[] = [];
      for await (const message of fixture.builder.classic({ context: inParts(context), dockerfile, signal }))
        said.push(JSON.stringify(message));
      return said.join();
    };
    expect(await run(Buffer.from("FROM busybox\nENV A=1\n"))).toContain("Successfully built");
    expect(await run(gzipSync(await tar({ "sub/Other": "FROM busybox\n" })), "sub/Other")).toContain(
      "Successfully built",
    );
    expect(await run(await tar({ dockerfile: "FROM busybox\n" }))).toContain("Successfully built");
  });

  test("that is quiet says only the id", async () => {
    const { messages } = await fixture.build("FROM busybox\nENV A=1\n", {}, { quiet: true, tags: ["q"] });
    expect(messages).toEqual([{ stream: `${fixture.engine.images.get("q").record.id}\n` }]);
  });

  test("sets the labels of the request", async () => {
    const { image } = await fixture.build(
      "FROM busybox\nLABEL a=1 b=1\n",
      {},
      { labels: { b: "$2", c: "3" } },
    );
    expect(image!.config.config.Labels).toEqual({ a: "1", b: "$2", c: "3" });
  });

  test("makes the example's page", async () => {
    const example = join(import.meta.dir.replace(/src\/build$/, ""), "examples/hello");
    const read = (name: string) => readFileSync(join(example, name), "utf8");
    const files = { "index.html": read("index.html"), ".dockerignore": read(".dockerignore") };
    const built = await fixture.build(read("Dockerfile"), files, { buildArgs: { GREETING: "Ahoy" } });
    const page = await fixture.inspect(built, (at) => readFileSync(join(at, "www/index.html"), "utf8"));
    expect(page).toContain("<h1>Ahoy</h1>");
    expect(page).not.toContain("@");
    expect(built.image?.config.config).toMatchObject({
      ExposedPorts: { "8080/tcp": {} },
      Cmd: ["/bin/sh", "-c", 'exec httpd -f -p "$PORT" -h /www'],
    });
  });
});
