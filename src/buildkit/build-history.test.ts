import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Records } from "#store/records.ts";
import { BuildHistory, historyMax } from "./build-history.ts";
import type { MadeBuild } from "./made-build.ts";

let root: string;
let records: Records;
const documents = (): string => join(root, "documents");
const open = (): BuildHistory => new BuildHistory(records, documents(), () => 5000);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wherry-history-"));
  records = Records.open(join(root, "records.db"));
});
afterEach(() => {
  records[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

const signal = new AbortController().signal;
const request = { ActiveOnly: false, Ref: "", EarlyExit: true, Filter: [], Limit: 0 };

async function made(
  history: BuildHistory,
  ref: string,
  startedMs: number,
  words: string,
): Promise<MadeBuild> {
  const logs = await history.documents.put("text", [
    Buffer.from(words.slice(0, 1)),
    Buffer.from(words.slice(1)),
  ]);
  const build = {
    ...{ ref, frontend: "f", attributes: {}, exporters: [], answer: {}, pinned: false, startedMs },
    steps: { total: 1, cached: 0, completed: 1, warnings: 0 },
  };
  history.begin(build);
  const kept = { logs, provenance: [], results: [], inner: [] };
  await history.end({ ...build, completedMs: startedMs + 1, kept });
  return { ...build, kept };
}

async function listed(history: BuildHistory, o = {}): Promise<string[]> {
  const events = await Array.fromAsync(history.listen({ ...request, ...o }, signal));
  return events.map(({ record }) => record?.Ref ?? "");
}

test("documents go with the last record that has them, and none stays that no record knows", async () => {
  const history = open();
  await made(history, "one", 1, "same");
  await made(history, "two", 2, "same");
  await made(history, "three", 3, "other");
  expect(await listed(history)).toEqual(["three", "two", "one"]);
  expect(await listed(history, { Limit: 1 })).toEqual(["three"]);
  expect(await listed(history, { Filter: ["ref!=two"] })).toEqual(["three", "one"]);
  expect(readdirSync(documents())).toHaveLength(2);
  await history.update("one", { pinned: false, remove: true, finalize: false });
  expect(readdirSync(documents())).toHaveLength(2);
  const { logs } = history.get("two")?.kept ?? {};
  const part = { offset: 1, bytes: 2, partBytes: 1 };
  const read = await Array.fromAsync(history.documents.read(logs?.digest ?? "", part));
  expect(Buffer.concat(read).toString()).toBe("am");
  await history.update("two", { pinned: false, remove: true, finalize: false });
  expect(readdirSync(documents())).toHaveLength(1);
  await history.documents.put("text", [Buffer.from("of nobody")]);
  open();
  expect(readdirSync(documents())).toHaveLength(1);
  expect(await history.documents.sizeOf("sha256:../../records.db")).toBeUndefined();
});

test("the oldest go beyond the bound, pinned ones stay, and whoever listens is told", async () => {
  const history = open();
  await made(history, "pinned", 1, "p");
  const abort = new AbortController();
  const heard = (async () => {
    const told: string[] = [];
    try {
      for await (const { type, record } of history.listen(
        { ...request, EarlyExit: false, ActiveOnly: true },
        abort.signal,
      )) {
        told.push(`${type} ${record?.Ref} ${record?.pinned} ${record?.Generation}`);
        if (told.length === 3) abort.abort();
      }
    } catch {
      // Called off.
    }
    return told;
  })();
  await Promise.resolve();
  await history.update("pinned", { pinned: true, remove: false, finalize: false });
  for (let at = 0; at <= historyMax; at++) await made(history, `b${at}`, 10 + at, `log ${at}`);
  expect(await heard).toEqual(["1 pinned true 1", "0 b0 false 0", "1 b0 false 0"]);
  const refs = await listed(history);
  expect(refs).toHaveLength(historyMax + 1);
  expect([refs[0], refs.at(-2), refs.at(-1)]).toEqual([`b${historyMax}`, "b1", "pinned"]);
  expect(readdirSync(documents())).toHaveLength(historyMax + 1);
});
