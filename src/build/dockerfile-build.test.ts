import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BuilderFixture, canBuild } from "./builder-fixture.ts";

let fixture: BuilderFixture;
beforeAll(async () => {
  fixture = await BuilderFixture.open();
});
afterAll(async () => {
  expect(await fixture.leftovers()).toEqual([]);
  await fixture[Symbol.asyncDispose]();
});

describe.skipIf(!canBuild)("a BuildKit build", () => {
  test("says what BuildKit says, in the vertices, the configuration and the history", async () => {
    const solved = await fixture.solve(
      `ARG G=1
FROM busybox:latest AS base
ARG G
ARG FOO=1 BAR
ENV A=b C="d e"
LABEL a=b
WORKDIR /src
COPY a.txt ./
COPY --chown=1:2 --chmod=u=rw,go= a.txt /x/
RUN echo $FOO
RUN <<EOT
echo one
echo two
EOT
EXPOSE 80 90/udp
HEALTHCHECK --interval=30s --retries=3 CMD echo ok
CMD echo hi
`,
      { "a.txt": "a" },
      { options: { "build-arg:BAR": "bar", "label:zz": "1" } },
    );
    expect(solved.error).toBeUndefined();
    expect(solved.told.output).toBe("1\none\ntwo\n");
    expect([...solved.told.vertices.values()].map(({ name }) => name)).toEqual([
      "[internal] load build definition from Dockerfile",
      "[internal] load .dockerignore",
      "[internal] load metadata for docker.io/library/busybox:latest",
      "[base 6/6] RUN <<EOT (echo one...)",
      "[base 5/6] RUN echo 1",
      "[base 4/6] COPY --chown=1:2 --chmod=u=rw,go= a.txt /x/",
      "[internal] load build context",
      "[base 3/6] COPY a.txt ./",
      "[base 2/6] WORKDIR /src",
      "[base 1/6] FROM docker.io/library/busybox:latest",
    ]);
    const { config } = solved.result!.perPlatform[0]!;
    expect(config.history.map(({ created_by, empty_layer }) => [created_by, empty_layer ?? false])).toEqual([
      [undefined, false],
      ["ARG G", true],
      ["ARG FOO=1 BAR", true],
      ["ENV A=b C=d e", true],
      ["LABEL a=b", true],
      ["WORKDIR /src", false],
      ["COPY a.txt ./ # buildkit", false],
      ["COPY --chown=1:2 --chmod=u=rw,go= a.txt /x/ # buildkit", false],
      ["RUN |3 G=1 FOO=1 BAR=bar /bin/sh -c echo $FOO # buildkit", false],
      ["RUN |3 G=1 FOO=1 BAR=bar /bin/sh -c echo one\necho two\n # buildkit", false],
      ["EXPOSE map[80/tcp:{} 90/udp:{}]", true],
      ['HEALTHCHECK &{["CMD-SHELL" "echo ok"] "30s" "0s" "0s" "0s" \'\\x03\'}', true],
      ['CMD ["/bin/sh" "-c" "echo hi"]', true],
    ]);
    expect(config.config).toMatchObject({
      ArgsEscaped: true,
      Labels: { a: "b", zz: "1" },
      WorkingDir: "/src",
    });
    expect(config.rootfs.diff_ids).toHaveLength(6);
    expect(await fixture.fileOf(solved, "src/a.txt")).toBe("a");
  });
});
