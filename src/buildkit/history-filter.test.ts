import { expect, test } from "bun:test";
import { Fault } from "#spec/fault.ts";
import { historyFilter } from "./history-filter.ts";
import type { MadeBuild } from "./made-build.ts";

const nowMs = Date.parse("2026-05-05T12:00:00Z");
const build: MadeBuild = {
  ...{ ref: "abc", frontend: "dockerfile.v0", exporters: [], answer: {}, pinned: false },
  attributes: { context: "https://example.com/team/app.git#main:sub" },
  ...{ startedMs: nowMs - 3_600_000, completedMs: nowMs - 3_590_000 },
  steps: { total: 1, cached: 0, completed: 1, warnings: 0 },
};
const failed = (message: string): MadeBuild => ({ ...build, error: { code: 2, message } });

test.each([
  [[], build, true],
  [["ref==abc"], build, true],
  [["ref~=^b"], build, false],
  [["ref==other", "ref==abc"], build, true],
  [["status==completed"], build, true],
  [["status==error"], failed("no such file"), true],
  [["status==error"], failed("context canceled"), false],
  [["status==canceled"], failed("context canceled"), true],
  [["status==running"], { ...build, completedMs: undefined }, true],
  [["repository==https://example.com/team/app.git"], build, true],
  [["repository~=/team/"], { ...build, attributes: { "vcs:source": "git@host:team/x" } }, false],
  [["repository~=team/x"], { ...build, attributes: { "vcs:source": "git@host:team/x" } }, true],
  [["repository~=."], { ...build, attributes: { context: "local:context" } }, false],
  [["duration>=10s"], build, true],
  [["duration<10s"], build, false],
  [["startedAt>2h"], build, true],
  [["startedAt>30m"], build, false],
  [["completedAt<2026-05-05T13:00:00Z"], build, true],
  [['"ref==abc","duration>1m"'], build, false],
])("%j", (texts, record, passes) =>
  expect(historyFilter(texts as string[], nowMs)(record as MadeBuild)).toBe(passes as boolean),
);

test.each([
  [["startedAt>yesterday"], "invalid time yesterday"],
  [["duration>soon"], "invalid duration soon"],
  [["ref~=("], 'invalid filter: "(" is no regular expression'],
])("%j is refused", (texts, words) => {
  expect(() => historyFilter(texts as string[], nowMs)).toThrow(new Fault("invalid", words as string));
});
