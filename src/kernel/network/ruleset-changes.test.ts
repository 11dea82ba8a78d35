import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "#spec/until-fixture.ts";
import { makeNamespace, removeNamespace, stayInNamespace } from "./netns.ts";
import { NftSession, runNft } from "./nftables.ts";
import { type RulesetChange, RulesetChanges } from "./ruleset-changes.ts";
import { watchRulesets } from "./ruleset-watch.ts";

let directory: string;
let home: Disposable;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-rules-"));
  makeNamespace(join(directory, "host"), () => undefined);
  home = stayInNamespace(join(directory, "host"));
});
afterEach(() => {
  home[Symbol.dispose]();
  removeNamespace(join(directory, "host"));
  rmSync(directory, { recursive: true, force: true });
});

function nft(...args: string[]): string {
  const { stdout, stderr } = spawnSync("nft", args, { encoding: "utf8" });
  return stdout + stderr;
}

test("every change is told, with the tables and who made it", async () => {
  const changes: RulesetChange[] = [];
  const watcher = { changed: (each: RulesetChange) => changes.push(each), lost: () => {}, failed: () => {} };
  using _watch = watchRulesets(watcher);
  runNft("add table ip one\nadd chain ip one a\nadd table inet two\n");
  nft("flush", "ruleset");
  await until(() => changes.length === 2);
  expect(changes.map(({ tables, program }) => [[...tables].sort(), program])).toEqual([
    [["one", "two"], expect.any(String)],
    [["one", "two"], "nft"],
  ]);
  expect(changes[0]?.pid).not.toBe(changes[1]?.pid);
});

test("more than the kernel keeps word of is told as lost, and what comes then is told again", async () => {
  let losses = 0;
  const tables: string[] = [];
  const changed = (change: RulesetChange) => tables.push(...change.tables);
  const watcher = { changed, lost: () => losses++, failed: () => {} };
  using _watch = watchRulesets(watcher, { receiveBytes: 4096 });
  runNft("table ip big {\n map m { type inet_service : ipv4_addr; }\n}\n");
  const elements = Array.from({ length: 5000 }, (_, index) => `${index + 1} : 10.0.0.1`).join(", ");
  runNft(`add element ip big m { ${elements} }`);
  await until(() => losses > 0);
  // What comes while the queue is still full is lost as well.
  let later = 0;
  await until(() => {
    runNft(`add table ip later${later++}`);
    return tables.some((name) => name.startsWith("later"));
  });
});

test("a table that is owned outlives a flush, and nobody else changes it", () => {
  using session = new NftSession();
  session.run("table ip mine { flags owner; }\nadd set ip mine s { type inet_service; }\n");
  nft("flush", "ruleset");
  expect(nft("delete", "table", "ip", "mine")).toContain("not permitted");
  session.run("add element ip mine s { 80 }");
  expect(nft("list", "ruleset")).toContain("elements = { 80 }");
  session[Symbol.dispose]();
  expect(nft("list", "ruleset")).toBe("");
  expect(() => runNft("add element ip mine s { 81 }")).toThrow(/No such file or directory/);
});

test("bytes that are no messages are no changes", () => {
  const changes = new RulesetChanges();
  expect(changes.take(Buffer.alloc(40))).toEqual([]);
  expect(changes.take(Buffer.from("ffffffff0f0a", "hex"))).toEqual([]);
  const generation = Buffer.alloc(20);
  generation.writeUInt32LE(20, 0);
  generation.writeUInt16LE(0x0a0f, 4);
  expect(changes.take(generation)).toEqual([{ tables: new Set(), pid: 0, program: "" }]);
});

test("many open files do not break the library off, which cannot count beyond 1024", () => {
  const open = Array.from({ length: 1500 }, () => openSync("/dev/null", "r"));
  try {
    runNft("add table ip many");
    using session = new NftSession();
    session.run("add table ip more");
    expect(nft("list", "tables")).toBe("table ip many\ntable ip more\n");
  } finally {
    for (const fd of open) closeSync(fd);
  }
});
