import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BuilderFixture, canBuild } from "#build/builder-fixture.ts";
import { clampTimes, removeStubs } from "#build/files/changes.ts";
import { imageExport } from "#build/results/export-attributes.ts";

let fixture: BuilderFixture;
beforeAll(async () => {
  fixture = await BuilderFixture.open();
});
afterAll(async () => {
  expect(await fixture.leftovers()).toEqual([]);
  await fixture[Symbol.asyncDispose]();
});

describe.skipIf(!canBuild)("the cache", () => {
  test("does again only what reads something else, whatever the times say", async () => {
    const dockerfile = "FROM busybox\nCOPY a /a\nRUN cat /a >/b\nCOPY c /c\n";
    const first = await fixture.solve(dockerfile, { a: "1", c: "1" });
    expect(first.told.ran).toHaveLength(3);
    const same = await fixture.solve(dockerfile, { a: { content: "1", mtime: new Date(5000) }, c: "1" });
    expect(same.told.ran).toEqual([]);
    expect(same.result?.perPlatform).toEqual(first.result?.perPlatform ?? []);
    const changed = await fixture.solve(dockerfile, { a: "1", c: "2" });
    expect(changed.told.ran).toEqual(["[4/4] COPY c /c"]);
    const [outcome] = fixture.builder.outcomes();
    expect(outcome?.misses).toEqual([{ step: "[4/4] COPY c /c", kind: "changed", changes: ["changed c"] }]);
  });

  test("sees modes", async () => {
    const dockerfile = "FROM busybox\nCOPY mode /m\n";
    await fixture.solve(dockerfile, { mode: { content: "x", mode: 0o644 } });
    const { told } = await fixture.solve(dockerfile, { mode: { content: "x", mode: 0o755 } });
    expect(told.ran).toHaveLength(1);
  });

  test("does not look at a stage whose reader was done before", async () => {
    const dockerfile = `FROM busybox AS tools
RUN echo tool >/tool
FROM busybox
COPY --from=tools /tool /t
`;
    await fixture.solve(dockerfile);
    const { told } = await fixture.solve(dockerfile);
    expect(told.ran).toEqual([]);
    expect(told.cached).toContain("[tools 2/2] RUN echo tool >/tool");
  });

  test("an equal file from a stage that was done again is an equal file", async () => {
    const with_ = (noise: string) => `FROM busybox AS tools
RUN echo ${noise} >/noise; echo tool >/tool
FROM busybox
COPY --from=tools /tool /equal
`;
    await fixture.solve(with_("one"));
    const { told } = await fixture.solve(with_("two"));
    expect(told.ran).toEqual(["[tools 2/2] RUN echo two >/noise; echo tool >/tool"]);
  });

  test("is left aside by no-cache, for all or for one stage", async () => {
    const dockerfile = `FROM busybox AS one
RUN echo 1 >/1
FROM busybox AS two
COPY --from=one /1 /1
RUN echo 2 >/2
`;
    await fixture.solve(dockerfile);
    const all = await fixture.solve(dockerfile, {}, { options: { "no-cache": "" } });
    expect(all.told.ran).toHaveLength(3);
    const { told } = await fixture.solve(dockerfile, {}, { options: { "no-cache": "two" } });
    expect(told.ran).toEqual(["[two 2/3] COPY --from=one /1 /1", "[two 3/3] RUN echo 2 >/2"].reverse());
  });

  test("a proxy and a secret do not count for it", async () => {
    const dockerfile = "FROM busybox\nRUN --mount=type=secret,id=s true\n";
    await fixture.solve(
      dockerfile,
      {},
      { secrets: { s: "1" }, options: { "build-arg:HTTP_PROXY": "http://a" } },
    );
    const { told } = await fixture.solve(
      dockerfile,
      {},
      { secrets: { s: "2" }, options: { "build-arg:HTTP_PROXY": "http://b" } },
    );
    expect(told.ran).toEqual([]);
  });

  test("two equal steps at once are one", async () => {
    const before = fixture.engine.containers.ran.length;
    const dockerfile = "FROM busybox\nRUN sleep 0.3; echo equal >/e\n";
    await Promise.all([fixture.solve(dockerfile), fixture.solve(dockerfile)]);
    expect(fixture.engine.containers.ran.length - before).toBe(1);
  });

  test("can be pruned, and then all is done again", async () => {
    const dockerfile = "FROM busybox\nRUN echo pruned >/p\n";
    await fixture.solve(dockerfile);
    expect(fixture.builder.usage().map(({ description }) => description)).toContain(
      "[2/2] RUN echo pruned >/p",
    );
    fixture.release();
    await fixture.builder.prune({ all: true, filters: new Map(), keepBytes: 0, keepMs: 0 });
    expect(fixture.builder.usage()).toEqual([]);
    expect(fixture.engine.images.kept.size).toBe(0);
    const { told } = await fixture.solve(dockerfile);
    expect(told.ran).toHaveLength(1);
  });
});

describe.skipIf(!canBuild)("stages", () => {
  test("that need not wait for one another run at once", async () => {
    const stage = (name: string, other: string) =>
      `FROM busybox AS ${name}\nRUN --mount=type=cache,id=meet,target=/m touch /m/${name}; while ! test -e /m/${other}; do sleep 0.01; done\n`;
    const solved = await fixture.solve(
      `${stage("a", "b")}${stage("b", "a")}FROM busybox\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n`,
    );
    expect(solved.error).toBeUndefined();
  });

  test("a fault has its place, its vertex, and what else ran is stopped", async () => {
    const { error, told } = await fixture.solve("FROM busybox\nRUN true\nRUN exit 3\n");
    expect(error?.message).toBe('process "/bin/sh -c exit 3" did not complete successfully: exit code: 3');
    expect(error?.lines).toEqual([{ start: 3, end: 3 }]);
    expect(told.vertices.get(error?.vertex ?? "")?.error).toBe(error?.message);
  });

  test("a client that goes away stops what runs", async () => {
    const abort = new AbortController();
    const solving = fixture.solve("FROM busybox\nRUN sleep 60\n", {}, { signal: abort.signal });
    while (fixture.engine.containers.running === 0) await Bun.sleep(5);
    abort.abort();
    const { error } = await solving;
    expect(error).toMatchObject({ kind: "cancelled" });
    expect(await fixture.leftovers()).toEqual([]);
  });
});

describe.skipIf(!canBuild)("what a build reads", () => {
  test("a secret reaches the command and nothing else", async () => {
    const solved = await fixture.solve(
      "FROM busybox\nRUN --mount=type=secret,id=token cat /run/secrets/token\nRUN --mount=type=secret,id=token,env=TOKEN echo env-$TOKEN\nRUN test ! -e /run/secrets\n",
      {},
      { secrets: { token: "s3cret" } },
    );
    expect(solved.error).toBeUndefined();
    expect(solved.told.output).toBe("s3cretenv-s3cret\n");
    expect(JSON.stringify(solved.result?.perPlatform)).not.toContain("s3cret");
  });

  test("named contexts: files, and an image in a stage's place", async () => {
    const directory = join(fixture.root, "named");
    mkdirSync(directory);
    writeFileSync(join(directory, "n"), "named");
    const solved = await fixture.solve(
      "FROM tools\nCOPY --from=extra n /n\nRUN cat /n\n",
      {},
      {
        directories: { extra: directory },
        options: { "context:extra": "local:extra", "context:tools": "docker-image://busybox" },
      },
    );
    expect(solved.error).toBeUndefined();
    expect(solved.told.output).toBe("named");
  });

  test(".dockerignore beside the Dockerfile goes before the context's", async () => {
    const solved = await fixture.solve("FROM busybox\nCOPY . /x/\n", {
      a: "",
      b: "",
      ".dockerignore": "a\n",
      "Dockerfile.dockerignore": "b\n",
    });
    expect(await fixture.fileOf(solved, "x/a")).toBe("");
    expect(await fixture.fileOf(solved, "x/b")).toBeUndefined();
  });

  test("a foreign platform is refused when something must run on it", async () => {
    const options = { platform: "linux/s390x" };
    const { error } = await fixture.solve('FROM scratch\nCOPY a /a\nRUN ["/a"]\n', { a: "" }, { options });
    expect(error?.message).toContain("this machine does not run programs for linux/s390x");
    const copied = await fixture.solve("FROM scratch\nCOPY a /a\n", { a: "" }, { options });
    expect(copied.result?.perPlatform[0]?.config.architecture).toBe("s390x");
  });
});

describe.skipIf(!canBuild)("results", () => {
  test("with SOURCE_DATE_EPOCH the same inputs make the same image", async () => {
    const dockerfile = "FROM busybox\nWORKDIR /w\nCOPY a /w/a\nRUN sleep 0.01; echo x >/made\nENV A=1\n";
    const build = async () => {
      const options = { "build-arg:SOURCE_DATE_EPOCH": "1700000000", "no-cache": "" };
      const { result } = await fixture.solve(dockerfile, { a: "1" }, { options });
      await Bun.sleep(20);
      return result?.perPlatform[0]?.config;
    };
    const first = await build();
    expect(await build()).toEqual(first as NonNullable<typeof first>);
    expect(first?.created).toBe("2023-11-14T22:13:20.000Z");
  });

  test("an image can carry its cache", async () => {
    const dockerfile = "FROM busybox\nRUN echo inline >/i\n";
    const { result } = await fixture.solve(
      dockerfile,
      {},
      { cacheExports: [{ type: "inline", attributes: {} }] },
    );
    if (result === undefined) throw new Error("no result");
    const wanted = imageExport("image", { name: "cached:1" });
    await fixture.builder.results.store(result, { wanted, signal: new AbortController().signal });
    fixture.release();
    await fixture.builder.prune({ all: true, filters: new Map(), keepBytes: 0, keepMs: 0 });
    const options = { "cache-imports": JSON.stringify([{ Type: "registry", Attrs: { ref: "cached:1" } }]) };
    const { told } = await fixture.solve(dockerfile, {}, { options });
    expect(told.cached).toContain("[2/2] RUN echo inline >/i");
    // It counts for that build alone: nobody else trusts what an image says of itself.
    expect((await fixture.solve(dockerfile)).told.ran).toHaveLength(1);
  });
});

describe("touching up a step's changes", () => {
  test("mount points are never removed through a link (CVE-2024-23652)", () => {
    const place = mkdtempSync(join(tmpdir(), "wherry-stubs-"));
    try {
      mkdirSync(join(place, "outside/secrets"), { recursive: true });
      mkdirSync(join(place, "changes"));
      symlinkSync("../outside", join(place, "changes/run"));
      removeStubs(join(place, "changes"), [{ path: "run/secrets", existing: 0, parentTimes: undefined }]);
      expect(existsSync(join(place, "outside/secrets"))).toBe(true);
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  test("what a command put into a mount point stays", async () => {
    const place = mkdtempSync(join(tmpdir(), "wherry-stubs-"));
    try {
      mkdirSync(join(place, "a/b"), { recursive: true });
      mkdirSync(join(place, "c/d"), { recursive: true });
      writeFileSync(join(place, "a/b/kept"), "x");
      removeStubs(place, [
        { path: "a/b", existing: 0, parentTimes: undefined },
        { path: "c/d", existing: 0, parentTimes: undefined },
      ]);
      expect(readFileSync(join(place, "a/b/kept"), "utf8")).toBe("x");
      expect(existsSync(join(place, "c"))).toBe(false);
      await clampTimes(place, 1000);
      expect((await Bun.file(join(place, "a/b/kept")).stat()).mtimeMs).toBe(1000);
    } finally {
      rmSync(place, { recursive: true });
    }
  });
});

describe.skipIf(!canBuild)("a Dockerfile beyond all measure", () => {
  const repeated = (count: number, line: (at: number) => string) =>
    Array.from({ length: count }, (_, at) => `${line(at)}\n`).join("");
  const refused: [what: string, text: string, message: string][] = [
    [
      "of 30,000 instructions",
      `FROM busybox\n${"LABEL a=b\n".repeat(30_000)}`,
      "more than 20000 instructions",
    ],
    ["of 10,000 stages", "FROM busybox\n".repeat(10_000), "more than 1000 stages"],
    [
      "of 1 MiB that fails",
      `FROM busybox\nRUN <<E\n${"# x y z\n".repeat(130_000)}exit 7\nE\n`,
      "exit code: 7",
    ],
    ["of 5 MiB", `FROM busybox\n${"# x\n".repeat(1_300_000)}`, "is larger than 4194304 bytes"],
  ];
  for (const [what, text, message] of refused)
    test(`${what} is refused, or told to be wrong`, async () => {
      const { error } = await fixture.solve(text);
      expect(error?.message).toContain(message);
    }, 30_000);

  // Each takes a second or two; with a copy of all that is known at each instruction it would be a minute.
  const works: [what: string, line: (at: number) => string][] = [
    ["LABEL", (at) => `LABEL l${at}=${at}`],
    ["ENV", (at) => `ENV E${at}=\${E${Math.max(at - 1, 0)}:+y}${at}`],
    ["ARG", (at) => `ARG A${at}=1`],
    ["EXPOSE and VOLUME", (at) => (at % 2 === 0 ? `EXPOSE ${at + 1}` : `VOLUME /v${at}`)],
    ["all kinds", (at) => ["USER u", "ENV V=", "LABEL l=", "ARG A", "CMD echo "][at % 5] + String(at)],
  ];
  for (const [what, line] of works)
    test(`of 10,000 instructions is built: ${what}`, async () => {
      const { error, result } = await fixture.solve(`FROM scratch\n${repeated(10_000, line)}`);
      expect(error).toBeUndefined();
      const { config, history = [] } = result!.perPlatform[0]!.config;
      expect(history).toHaveLength(10_000);
      if (what === "LABEL") expect(config.Labels?.["l9999"]).toBe("9999");
      if (what === "ENV")
        expect(config.Env?.slice(0, 3)).toEqual([expect.stringContaining("PATH="), "E0=0", "E1=y1"]);
      if (what === "EXPOSE and VOLUME") expect(Object.keys(config.Volumes ?? {})).toHaveLength(5000);
    }, 60_000);

  test("of 1 MiB is built", async () => {
    const text = `FROM busybox\nCOPY <<E /file\n${"sixteen letters.".repeat(4).concat("\n").repeat(16_200)}E\n`;
    expect(text.length).toBeGreaterThan(1 << 20);
    const { error } = await fixture.solve(text);
    expect(error).toBeUndefined();
  }, 30_000);
});
