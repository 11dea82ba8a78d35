import { expect, test } from "bun:test";
import { BuildHistoryRecord } from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";
import { historyFilters } from "./history-filters.ts";
import { buildName, chosenRecord, shownDuration } from "./history-record.ts";

const record = (FrontendAttrs: Record<string, string>, Ref = "r", startedSeconds = 1) =>
  BuildHistoryRecord.decode(
    BuildHistoryRecord.encode({ Ref, FrontendAttrs, CreatedAt: BigInt(startedSeconds) * 1_000_000_000n }),
  );

test.each([
  [{ "build-arg:BUILDKIT_BUILD_NAME": "mine", target: "x" }, undefined, "mine"],
  [
    { context: "https://example.com/a.git#main", target: "t" },
    undefined,
    "https://example.com/a.git#main (t)",
  ],
  [{ "vcs:localdir:context": "services/web", filename: "Dockerfile" }, undefined, "services/web"],
  [{ "vcs:localdir:context": ".", "vcs:source": "git@h:a" }, undefined, "git@h:a"],
  [{}, { LocalPath: "/home/me/app", DockerfilePath: "" }, "app"],
  [{}, { LocalPath: "/home/me/app", DockerfilePath: "/home/me/app/docker/web/Dockerfile" }, "app/docker/web"],
  [{}, { LocalPath: "/home/me/app", DockerfilePath: "/home/me/app/prod.Dockerfile" }, "app/prod.Dockerfile"],
  [{}, { LocalPath: "/home/me/app", DockerfilePath: "/home/other/x.Dockerfile" }, "other/x.Dockerfile"],
  [{ "wherry:context": "/srv/site", "wherry:dockerfile": "/srv/site/Dockerfile" }, undefined, "site"],
  [{ target: "only" }, { LocalPath: "-", DockerfilePath: "-" }, "only"],
])("%j %j is called %s", (attributes, state, name) =>
  expect(buildName(record(attributes as Record<string, string>), state)).toBe(name as string),
);

test("the newest is meant, or one by its name or how many came after it", () => {
  const all = [record({}, "old", 1), record({}, "new", 3), record({}, "middle", 2)];
  expect(chosenRecord(all, "").Ref).toBe("new");
  expect(chosenRecord(all, "^1").Ref).toBe("middle");
  expect(() => chosenRecord(all, "^3")).toThrow("no completed build found with offset 3");
  expect(() => chosenRecord(all, "^x")).toThrow('invalid offset "x"');
  expect(() => chosenRecord([], "nobody")).toThrow('no record found for ref "nobody"');
});

test("durations are written as buildx does", () =>
  expect([1449, 59_949, 60_000, 3_723_000].map(shownDuration)).toEqual([
    "1.4s",
    "59.9s",
    "1m  0s",
    "62m  3s",
  ]));

test("filters are put into BuildKit's words, or refused in buildx's", () => {
  expect(historyFilters([])).toEqual([]);
  expect(
    historyFilters(["status=error", "ref!=a", "repository=h/x", "duration>=1m", "startedAt<2h"]),
  ).toEqual(["status==error,ref!=a,repository~=h/x,duration>=1m,startedAt<2h"]);
  expect(historyFilters(["ref=a,b"])).toEqual(['"ref~=a,b"']);
  for (const [text, words] of [
    ["colour=red", 'unsupported filter "colour=red"'],
    ["status>error", 'invalid separator for "status>error", expected = or !='],
    ["duration=1m", 'invalid separator for "duration=1m", expected <=, <, >= or >'],
    ["status", 'invalid filter "status"'],
  ] as const)
    expect(() => historyFilters([text])).toThrow(new Fault("invalid", words));
});
