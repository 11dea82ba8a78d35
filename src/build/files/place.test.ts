import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { destinationPath, place } from "./place.ts";
import { SourceTree } from "./source-tree.ts";

const signal = new AbortController().signal;
const owner = { uid: 0, gid: 0 };
let base: string;
let source: string;
let image: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "wherry-place-"));
  source = join(base, "source");
  image = join(base, "image");
  mkdirSync(source);
  mkdirSync(image);
});
afterEach(() => rmSync(base, { recursive: true }));

async function copy(from: string, to: string, o: { uid?: number; mode?: number; keep?: boolean } = {}) {
  const sources = await new SourceTree(source, "context").find(from, { signal });
  const { mode } = o;
  const wanted = o.keep ? undefined : { uid: o.uid ?? 0, gid: o.uid ?? 0 };
  for (const found of sources)
    await place(
      found,
      { root: image, path: to },
      { owner: wanted, mode: mode === undefined ? undefined : () => mode, signal },
    );
}

describe("destinationPath()", () => {
  const cases: [workdir: string, written: string, path: string][] = [
    ["/w", "a", "/w/a"],
    ["/w", "a/", "/w/a/"],
    ["/w", "./", "/w/"],
    ["/w", ".", "/w/"],
    ["", ".", "/"],
    ["/w", "/x/", "/x/"],
    ["/w/v", "../x", "/w/x"],
    ["/w", "/", "/"],
    ["/w", "/../../x", "/x"],
  ];
  for (const [workdir, written, path] of cases)
    test(`${written} in ${workdir || "no WORKDIR"} is ${path}`, () =>
      expect(destinationPath(workdir, written)).toBe(path));
});

describe("a file", () => {
  beforeEach(() => {
    writeFileSync(join(source, "f"), "new", { mode: 0o640 });
    chownSync(join(source, "f"), 12, 13);
    utimesSync(join(source, "f"), 1000, 2000);
  });

  test("gets the name it is given, its mode and time kept, its owner root", async () => {
    await copy("f", "/deep/er/g");
    const stat = lstatSync(join(image, "deep/er/g"));
    expect([stat.mode & 0o7777, stat.uid, stat.gid, stat.mtimeMs]).toEqual([0o640, 0, 0, 2_000_000]);
    expect(lstatSync(join(image, "deep")).mode & 0o7777).toBe(0o755);
  });

  test("goes into a directory that is there or is asked for by a slash", async () => {
    mkdirSync(join(image, "there"));
    await copy("f", "/there");
    await copy("f", "/made/");
    expect(readFileSync(join(image, "there/f"), "utf8")).toBe("new");
    expect(readFileSync(join(image, "made/f"), "utf8")).toBe("new");
  });

  test("takes --chown for itself and the directories made for it, --chmod for itself", async () => {
    await copy("f", "/made/f", { uid: 7, mode: 0o4755 });
    expect(lstatSync(join(image, "made")).uid).toBe(7);
    const stat = lstatSync(join(image, "made/f"));
    expect([stat.uid, stat.gid, stat.mode & 0o7777]).toEqual([7, 7, 0o4755]);
  });

  test("keeps its owner when it comes from an image", async () => {
    await copy("f", "/f", { keep: true });
    expect(lstatSync(join(image, "f")).uid).toBe(12);
  });

  test("goes through links in the image, which cannot lead out of it", async () => {
    mkdirSync(join(image, "real"));
    symlinkSync("/real", join(image, "link"));
    symlinkSync(join(base, "outside"), join(image, "trap"));
    mkdirSync(join(base, "outside"));
    await copy("f", "/link/");
    await copy("f", "/trap/");
    expect(readFileSync(join(image, "real/f"), "utf8")).toBe("new");
    expect(existsSync(join(base, "outside/f"))).toBe(false);
    expect(readFileSync(join(image, base, "outside/f"), "utf8")).toBe("new");
  });

  test("replaces a link instead of writing through it", async () => {
    writeFileSync(join(base, "victim"), "old");
    mkdirSync(join(image, "d"));
    symlinkSync(join(base, "victim"), join(image, "d/f"));
    await copy("f", "/d/");
    expect(readFileSync(join(base, "victim"), "utf8")).toBe("old");
    expect(lstatSync(join(image, "d/f")).isFile()).toBe(true);
  });

  test("cannot go below a file", async () => {
    writeFileSync(join(image, "file"), "");
    await expect(copy("f", "/file/x")).rejects.toThrow("mkdir /file: not a directory");
  });
});

describe("a directory", () => {
  beforeEach(() => {
    mkdirSync(join(source, "d/sub"), { recursive: true });
    writeFileSync(join(source, "d/f"), "new");
    writeFileSync(join(source, "d/sub/g"), "g");
    symlinkSync("f", join(source, "d/link"));
    linkSync(join(source, "d/f"), join(source, "d/same"));
    chmodSync(join(source, "d/sub"), 0o711);
  });

  test("gives its contents, links and hard links as they are", async () => {
    await copy("d", "/to");
    expect(readlinkSync(join(image, "to/link"))).toBe("f");
    expect(lstatSync(join(image, "to/f")).ino).toBe(lstatSync(join(image, "to/same")).ino);
    expect(lstatSync(join(image, "to/sub")).mode & 0o7777).toBe(0o711);
    expect(lstatSync(join(image, "to/sub/g")).isFile()).toBe(true);
  });

  test("merges into directories and replaces what is none", async () => {
    mkdirSync(join(image, "to/sub"), { recursive: true });
    writeFileSync(join(image, "to/sub/old"), "");
    mkdirSync(join(image, "to/f"));
    await copy("d", "/to");
    expect(existsSync(join(image, "to/sub/old"))).toBe(true);
    expect(readFileSync(join(image, "to/f"), "utf8")).toBe("new");
  });

  test("stops when the build is cancelled", async () => {
    const [found] = await new SourceTree(source, "context").find("d", { signal });
    const cancelled = AbortSignal.abort();
    await expect(place(found!, { root: image, path: "/to" }, { owner, signal: cancelled })).rejects.toThrow();
  });
});
