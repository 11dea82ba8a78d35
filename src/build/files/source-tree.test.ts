import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { combineHashes, SourceTree } from "./source-tree.ts";

const root = mkdtempSync(join(tmpdir(), "wherry-sources-"));
const signal = new AbortController().signal;

beforeAll(() => {
  mkdirSync(join(root, "dir/sub"), { recursive: true });
  writeFileSync(join(root, "a.txt"), "a");
  writeFileSync(join(root, "b.txt"), "b");
  writeFileSync(join(root, "c.md"), "c");
  writeFileSync(join(root, "dir/one.txt"), "1");
  writeFileSync(join(root, "dir/sub/two.txt"), "2");
  symlinkSync("/dir/one.txt", join(root, "link"));
});
afterAll(() => rmSync(root, { recursive: true }));

async function names(pattern: string): Promise<string[]> {
  return (await new SourceTree(root, "context").find(pattern, { signal })).map(({ name }) => name);
}

async function hash(directory: string, path: string, kind: "context" | "image" = "context"): Promise<string> {
  const [source] = await new SourceTree(directory, kind).find(path, { signal });
  return source!.hash;
}

describe("find()", () => {
  test("takes a path with or without a leading slash or dot", async () => {
    expect(await names("a.txt")).toEqual(["a.txt"]);
    expect(await names("/a.txt")).toEqual(["a.txt"]);
    expect(await names("./dir/one.txt")).toEqual(["one.txt"]);
  });

  test("takes a pattern, whose * does not cross directories", async () => {
    expect(await names("*.txt")).toEqual(["a.txt", "b.txt"]);
    expect(await names("dir/*")).toEqual(["one.txt", "sub"]);
    expect(await names("nothing*")).toEqual([]);
  });

  test("follows a link to a file and keeps the link's name", async () => {
    const [source] = await new SourceTree(root, "context").find("link", { signal });
    expect(source).toMatchObject({ name: "link", path: join(root, "dir/one.txt"), directory: false });
  });

  test("refuses what is not there and suggests what is near", async () => {
    await expect(names("a.tx")).rejects.toThrow(
      "file not found in build context or excluded by .dockerignore: stat a.tx: file does not exist (did you mean a.txt?)",
    );
    await expect(new SourceTree(root, "image").find("/x/y", { signal })).rejects.toThrow(
      "stat x/y: file does not exist",
    );
  });

  test("refuses a path that leaves the context", async () => {
    await expect(names("../a.txt")).rejects.toThrow("forbidden path outside the build context: ../a.txt ()");
  });
});

describe("a hash", () => {
  const changes: [what: string, change: (copy: string) => void, same: boolean][] = [
    ["times", (copy) => utimesSync(join(copy, "dir/one.txt"), 1, 1), true],
    ["owners of a context", (copy) => chownSync(join(copy, "dir/one.txt"), 1, 1), true],
    ["contents", (copy) => writeFileSync(join(copy, "dir/one.txt"), "X"), false],
    ["modes", (copy) => chmodSync(join(copy, "dir/one.txt"), 0o700), false],
    ["a new empty directory", (copy) => mkdirSync(join(copy, "dir/empty")), false],
    ["a file that is gone", (copy) => rmSync(join(copy, "dir/sub/two.txt")), false],
  ];
  for (const [what, change, same] of changes)
    test(`${same ? "does not see" : "sees"} ${what}`, async () => {
      const copy = mkdtempSync(join(tmpdir(), "wherry-sources-"));
      try {
        cpSync(root, copy, { recursive: true, verbatimSymlinks: true });
        const before = await hash(copy, "dir");
        change(copy);
        expect((await hash(copy, "dir")) === before).toBe(same);
      } finally {
        rmSync(copy, { recursive: true });
      }
    });

  test("of an image's file sees its owner", async () => {
    const before = await hash(root, "c.md", "image");
    chownSync(join(root, "c.md"), 5, 5);
    expect(await hash(root, "c.md", "image")).not.toBe(before);
  });

  test("of one file sees its name, of a directory only what is in it", async () => {
    mkdirSync(join(root, "other"));
    cpSync(join(root, "dir"), join(root, "other/dir2"), { recursive: true });
    expect(await hash(root, "dir")).toStartWith("dir:");
    expect(await hash(root, "other/dir2")).toBe(await hash(root, "dir"));
    expect(await hash(root, "a.txt")).toStartWith("file:");
  });

  test("of several sources is one", () => {
    expect(combineHashes([{ hash: "file:1" }])).toBe("file:1");
    expect(combineHashes([{ hash: "file:1" }, { hash: "file:2" }])).toMatch(/^multi:[0-9a-f]{64}$/);
  });
});
