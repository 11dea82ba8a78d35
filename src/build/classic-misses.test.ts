import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BuilderFixture, canBuild } from "./builder-fixture.ts";

let fixture: BuilderFixture;
beforeAll(async () => {
  if (canBuild) fixture = await BuilderFixture.open();
});
afterAll(async () => {
  if (canBuild) await fixture[Symbol.asyncDispose]();
});

const dockerfile = [
  "FROM busybox AS base",
  "RUN echo tools >/tools",
  "FROM base",
  "COPY src /src",
  "ARG VERSION=1",
  "RUN echo $VERSION >/version",
  "CMD true",
  "",
].join("\n");

describe.skipIf(!canBuild)("why a step of the classic builder was done again", () => {
  const why = async (
    files: Readonly<Record<string, string>>,
    o: { readonly VERSION?: string; readonly noCache?: boolean; readonly text?: string } = {},
  ) => {
    const { VERSION, noCache = false, text = dockerfile } = o;
    const request = { tags: ["why"], noCache, ...(VERSION !== undefined && { buildArgs: { VERSION } }) };
    await fixture.build(text, files, request).catch(() => undefined);
    const outcome = fixture.builder.outcomes().find(({ origin }) => origin === "image:why:latest");
    return outcome?.misses.map(({ step, kind, changes }) => [step, kind, ...changes]);
  };
  const steps = {
    tools: "[base] RUN echo tools >/tools",
    src: "[stage-1] COPY src /src",
    argument: "[stage-1] ARG VERSION=1",
    version: "[stage-1] RUN echo $VERSION >/version",
    command: "[stage-1] CMD true",
  };
  const above = (step: string) => `changed the step before it, ${step}`;

  test("names files, arguments and what went before; tells new steps from those that were asked for", async () => {
    const files = { "src/a": "1", "src/b": "1" };
    expect(await why(files)).toEqual(Object.values(steps).map((step) => [step, "new"]));
    expect(await why(files)).toEqual([]);
    expect(await why({ "src/a": "2", "src/c": "1" })).toEqual([
      [steps.src, "changed", "changed src/a", "removed src/b", "added src/c"],
      [steps.argument, "changed", above("COPY src /src")],
      [steps.version, "changed", above("ARG VERSION=1")],
      [steps.command, "changed", above("RUN echo $VERSION >/version")],
    ]);
    expect(await why({ "src/a": "2", "src/c": "1" }, { VERSION: "2" })).toEqual([
      [steps.version, "changed", "changed variable VERSION"],
      [steps.command, "changed", above("RUN echo $VERSION >/version")],
    ]);
    expect((await why(files, { noCache: true }))?.map(([, kind]) => kind)).toEqual(Array(5).fill("refused"));
  });

  test("a build that fails tells how far it came", async () => {
    const text = "FROM busybox\nRUN true\nRUN exit 3\nRUN false\n";
    expect(await why({}, { text })).toEqual([
      ["RUN true", "new"],
      ["RUN exit 3", "new"],
    ]);
    expect(await why({}, { text })).toEqual([["RUN exit 3", "gone"]]);
  });
});
