import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { BuilderFixture, canBuild } from "#build/builder-fixture.ts";

let fixture: BuilderFixture;
beforeEach(async () => {
  if (canBuild) fixture = await BuilderFixture.open();
});
afterEach(async () => {
  if (canBuild) await fixture[Symbol.asyncDispose]();
});

// Needs root and a busybox to build with.
describe.skipIf(!canBuild)("an image that is not here", () => {
  test("is fetched from its registry, as the one who asked, and said so", async () => {
    const { images, transfers } = fixture.engine;
    transfers.onFetch = (name) => images.tag("busybox", name);
    const credentialsFor = (image: string) => ({ username: image });
    const dockerfile = "FROM reg:5000/base\nCOPY --from=reg:5000/other /bin/busybox /copied\n";
    const { error, messages } = await fixture.build(dockerfile, {}, { credentialsFor });
    expect(error).toBeUndefined();
    expect(transfers.asked).toEqual([
      ["reg:5000/base", { username: "reg:5000/base" }, undefined],
      ["reg:5000/other", { username: "reg:5000/other" }, undefined],
    ]);
    expect(messages).toContainEqual({ status: "Pulling from reg:5000/base", id: "1" });
  });

  test("for the platform asked for is fetched too", async () => {
    const { error } = await fixture.build("FROM --platform=linux/arm64 busybox\n");
    expect(error).toContain("pull access denied for busybox");
    expect(fixture.engine.transfers.asked).toEqual([
      ["busybox", undefined, { os: "linux", architecture: "arm64" }],
    ]);
  });

  test("is looked for again with --pull, and not without", async () => {
    fixture.engine.transfers.onFetch = () => undefined;
    await fixture.build("FROM busybox\nENV A=b\n");
    expect(fixture.engine.transfers.asked).toEqual([]);
    await fixture.build("FROM busybox\nENV A=b\n", {}, { pull: true });
    expect(fixture.engine.transfers.asked).toEqual([["busybox", undefined, undefined]]);
  });
});
