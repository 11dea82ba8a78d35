import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Errno } from "#kernel/libc.ts";
import { Beneath } from "./beneath.ts";
import { bytePath as b, bytePathOf, cleanBytePath, pathText } from "./byte-path.ts";
import { closeDescriptor, openFlag, readInto, statDescriptor, writeAt } from "./files-at.ts";

let outer: string;
let root: string;

beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), "wherry-beneath-"));
  root = join(outer, "root");
  mkdirSync(join(root, "dir", "sub"), { recursive: true });
  writeFileSync(join(outer, "secret"), "outside");
  writeFileSync(join(root, "dir", "file"), "inside");
});
afterEach(() => rmSync(outer, { recursive: true }));

function read(beneath: Beneath, path: string): string {
  const fd = beneath.open(b(path), openFlag.read);
  try {
    const buffer = Buffer.alloc(100);
    return buffer.toString("utf8", 0, readInto(fd, buffer));
  } finally {
    closeDescriptor(fd);
  }
}

for (const openat2 of [true, false])
  describe(openat2 ? "Beneath" : "Beneath without openat2", () => {
    const open = () => Beneath.open(root, { openat2 });

    test("reads what is inside by any spelling", () => {
      using beneath = open();
      symlinkSync("/dir/./sub/../file", join(root, "absolute"));
      symlinkSync("../../../../dir", join(root, "climbing"));
      symlinkSync("absolute", join(root, "link-to-link"));
      const spellings = [
        "dir/file",
        "/dir/file",
        "../../dir/file",
        "./dir//sub/../file",
        "absolute",
        "climbing/file",
        "climbing/sub/../../../absolute",
        "link-to-link",
      ];
      for (const path of spellings) expect([path, read(beneath, path)]).toEqual([path, "inside"]);
    });

    test("cannot read outside through a link, dots or an absolute name", () => {
      using beneath = open();
      symlinkSync(join(outer, "secret"), join(root, "evil"));
      symlinkSync("../secret", join(root, "evil-relative"));
      symlinkSync(outer, join(root, "dir", "evil"));
      symlinkSync("/proc/self/root", join(root, "magic"));
      for (const path of [
        "evil",
        "evil-relative",
        "dir/evil/secret",
        "../secret",
        join(outer, "secret"),
        "magic",
      ])
        expect(() => read(beneath, path)).toThrow(Errno);
    });

    test("cannot create outside, even through a link that leads out", () => {
      using beneath = open();
      symlinkSync(join(outer, "made"), join(root, "evil"));
      symlinkSync(outer, join(root, "out"));
      const create = (path: string) => {
        const fd = beneath.open(b(path), openFlag.write | openFlag.create, 0o600);
        writeAt(fd, Buffer.from("x"), 0);
        closeDescriptor(fd);
      };
      expect(() => create("evil")).toThrow("ENOENT");
      expect(() => create("out/made")).toThrow("ENOENT");
      expect(() => beneath.makeDirectory(b("out/made"), 0o755)).toThrow("ENOENT");
      expect(() => beneath.symlink(b("x"), b("out/made"))).toThrow("ENOENT");
      expect(() => beneath.link(b("dir/file"), b("out/made"))).toThrow("ENOENT");
      expect(() => beneath.link(b("out/secret"), b("stolen"))).toThrow("ENOENT");
      expect(() => beneath.rename(b("dir/file"), b("out/made"))).toThrow("ENOENT");
      expect(beneath.remove(b("out/secret"))).toBe(false);
      create("../made");
      expect(readdirSync(outer).sort()).toEqual(["root", "secret"]);
      expect(existsSync(join(root, "made"))).toBe(true);
    });

    test("goes round in circles only so long", () => {
      using beneath = open();
      symlinkSync("b", join(root, "a"));
      symlinkSync("a", join(root, "b"));
      expect(() => read(beneath, "a")).toThrow("ELOOP");
      expect(() => read(beneath, "a/x")).toThrow("ELOOP");
    });

    test("does not follow the last link when told not to", () => {
      using beneath = open();
      symlinkSync("dir", join(root, "link"));
      expect(() => beneath.open(b("link"), openFlag.read | openFlag.noFollow)).toThrow("ELOOP");
      const fd = beneath.open(b("link"), openFlag.path | openFlag.noFollow);
      expect(statDescriptor(fd).mode & 0o170000).toBe(0o120000);
      closeDescriptor(fd);
    });

    test("says what kind of error it is", () => {
      using beneath = open();
      expect(() => read(beneath, "dir/absent")).toThrow("ENOENT");
      expect(() => read(beneath, "dir/file/below")).toThrow("ENOTDIR");
      expect(() => beneath.makeDirectory(b("dir"), 0o755)).toThrow("EEXIST");
      expect(() => beneath.remove(b("dir"))).toThrow("ENOTEMPTY");
      expect(beneath.stat(b("dir/file/below"))).toBeUndefined();
      expect(beneath.stat(b("no/where"))).toBeUndefined();
    });

    test("makes, renames, lists and removes", () => {
      using beneath = open();
      beneath.makeDirectories(b("x/y/z"), 0o2755);
      beneath.makeDirectories(b("x/y/z"), 0o755);
      expect(lstatSync(join(root, "x/y/z")).mode & 0o7777).toBe(0o2755);
      beneath.link(b("dir/file"), b("x/y/hard"));
      beneath.symlink(b("../dir"), b("x/l"));
      beneath.rename(b("x/y/hard"), b("x/l/moved"));
      expect(beneath.list(b("x/l")).map(String)).toEqual(["file", "moved", "sub"]);
      expect(beneath.stat(b("dir/moved"))?.linkCount).toBe(2);
      expect(String(beneath.readLink(b("x/l")))).toBe("../dir");
      expect(String(beneath.resolve(b("x/l/moved")))).toBe("dir/moved");
      expect(beneath.remove(b("x/y/z"))).toBe(true);
      expect(beneath.remove(b("x/y/z"))).toBe(false);
      expect(beneath.list(b("")).map(String)).toEqual(["dir", "x"]);
    });

    test("sees through directories that were swapped for links", () => {
      using beneath = open();
      expect(beneath.stat(b("dir/sub/none"))).toBeUndefined();
      beneath.remove(b("dir/sub"));
      beneath.symlink(b("/"), b("dir/sub"));
      expect(beneath.stat(b("dir/sub/dir"))).toBeDefined();
    });

    test("leaks no descriptor", () => {
      const count = () => readdirSync("/proc/self/fd").length;
      const before = count();
      for (let round = 0; round < 50; round++) {
        using beneath = open();
        read(beneath, "dir/sub/../file");
        expect(() => read(beneath, "dir/sub/absent/x")).toThrow();
        expect(() => beneath.rename(b("dir/none"), b("dir/other"))).toThrow();
      }
      expect(count()).toBe(before);
    });
  });

describe.skipIf(process.getuid?.() !== 0)("Beneath as root", () => {
  test("keeps owners, exact modes, nanoseconds, attributes and devices, of links too", () => {
    using beneath = Beneath.open(root);
    beneath.chown(b("dir/file"), 4_000_000_000, 7);
    beneath.chmod(b("dir/file"), 0o6711);
    beneath.setTimes(b("dir/file"), -1n);
    expect(beneath.stat(b("dir/file"))).toMatchObject({
      mode: 0o106711,
      uid: 4_000_000_000,
      gid: 7,
      mtimeNano: -1n,
      sizeBytes: 6,
    });
    beneath.symlink(b("nowhere"), b("link"));
    beneath.setXattr(b("link"), "trusted.wherry", Buffer.from([0, 255, 10]));
    beneath.setXattr(b("link"), "trusted.empty", Buffer.alloc(0));
    expect(beneath.listXattrs(b("link")).sort()).toEqual(["trusted.empty", "trusted.wherry"]);
    expect(beneath.getXattr(b("link"), "trusted.wherry")).toEqual(Buffer.from([0, 255, 10]));
    expect(beneath.getXattr(b("link"), "trusted.absent")).toBeUndefined();
    beneath.setTimes(b("link"), 5_000_000_001n);
    expect(beneath.stat(b("link"))?.mtimeNano).toBe(5_000_000_001n);
    beneath.makeNode(b("null"), 0o020666, 1, 3);
    beneath.makeNode(b("wide"), 0o060600, 0x123, 0xabcde);
    beneath.makeNode(b("pipe"), 0o010622);
    expect(beneath.stat(b("null"))).toMatchObject({ mode: 0o020666, major: 1, minor: 3 });
    expect(beneath.stat(b("wide"))).toMatchObject({ major: 0x123, minor: 0xabcde });
    expect(beneath.stat(b("pipe"))?.mode).toBe(0o010622);
  });

  test("keeps names that are not UTF-8", () => {
    using beneath = Beneath.open(root);
    const odd = bytePathOf(Buffer.from([0x61, 0xff, 0xfe]));
    beneath.makeDirectory(odd, 0o755);
    beneath.makeDirectory(b("größe"), 0o755);
    expect(beneath.list(b(""))).toContain(odd);
    expect(readFileSync(join(root, "dir/file"), "utf8")).toBe("inside");
    expect(beneath.list(b("")).map(pathText)).toContain("größe");
  });
});

test("cleanBytePath() takes dots and slashes away, and refuses to climb", () => {
  const cases: [string, string | undefined][] = [
    ["a/b", "a/b"],
    ["/a//b/", "a/b"],
    ["./a/./b/.", "a/b"],
    ["a/../b", "b"],
    ["a/..", ""],
    ["", ""],
    ["/", ""],
    [".", ""],
    ["..", undefined],
    ["a/../../b", undefined],
    ["/..", undefined],
    ["...", "..."],
    ["a/..b", "a/..b"],
  ];
  for (const [path, clean] of cases)
    expect([path, cleanBytePath(path) as string | undefined]).toEqual([path, clean]);
});
