import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
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
import { bytePath as b } from "./byte-path.ts";
import { closeDescriptor, openAt, openFlag, readInto } from "./files-at.ts";
import { type MountedPart, MountedTree } from "./mounted-tree.ts";

let outer: string;
const at = (...names: string[]) => join(outer, ...names);
const handle = (path: string) => openAt(-100, b(path), openFlag.path);
const descriptors = () => readdirSync("/proc/self/fd").length;

beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), "wherry-mounted-"));
  for (const name of ["root/data", "root/etc", "volume/sub", "inner"])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at("secret"), "outside");
  writeFileSync(at("root/data/hidden"), "hidden");
  writeFileSync(at("root/etc/hosts"), "");
  writeFileSync(at("volume/file"), "volume");
  writeFileSync(at("hosts"), "the hosts");
  writeFileSync(at("inner/deep"), "deep");
});
afterEach(() => rmSync(outer, { recursive: true }));

function part(destination: string, source: string, readOnly = false): MountedPart {
  return { destination: b(destination), readOnly, open: () => handle(at(source)) };
}

function open(parts: MountedPart[], o: { writing?: boolean; readOnlyRoot?: boolean } = {}): MountedTree {
  return new MountedTree(handle(at("root")), { parts, ...o });
}

const usual = () => [part("data", "volume"), part("etc/hosts", "hosts"), part("data/sub", "inner")];

function read(tree: MountedTree, path: string): string {
  const fd = tree.open(b(path), openFlag.read);
  try {
    const buffer = Buffer.alloc(100);
    return buffer.toString("utf8", 0, readInto(fd, buffer));
  } finally {
    closeDescriptor(fd);
  }
}

test("paths cross from tree to tree and back", () => {
  symlinkSync("/data/sub/deep", at("root/link"));
  symlinkSync("../../../etc/hosts", at("volume/out"));
  symlinkSync("../../file", at("inner/up"));
  using tree = open(usual());
  expect(read(tree, "data/file")).toBe("volume");
  expect(read(tree, "link")).toBe("deep");
  expect(read(tree, "data/out")).toBe("the hosts");
  expect(read(tree, "data/sub/../file")).toBe("volume");
  expect(() => read(tree, "data/sub/up")).toThrow("ENOENT");
  expect(() => read(tree, "data/hidden")).toThrow("ENOENT");
  expect(tree.list(b("data"))).toEqual([b("file"), b("out"), b("sub")]);
  expect(String(tree.realPath(b("link")))).toBe("data/sub/deep");
  expect(String(tree.realPath(b("data/out/not/there")))).toBe("etc/hosts/not/there");
});

test("absolute links of a mounted tree start at the root, not at the machine's", () => {
  symlinkSync(at("secret"), at("volume/escape"));
  symlinkSync("/", at("volume/top"));
  using tree = open(usual());
  expect(() => read(tree, "data/escape")).toThrow("ENOENT");
  expect(read(tree, "data/top/etc/hosts")).toBe("the hosts");
  expect(() => read(tree, `data/top/../../../../..${at("secret")}`)).toThrow("ENOENT");
});

test("a place that a link leads to is where the part is", () => {
  mkdirSync(at("root/run"));
  symlinkSync("/run", at("root/var"));
  using tree = open([part("var/data", "volume")]);
  expect(read(tree, "run/data/file")).toBe("volume");
  expect(tree.list(b("run"))).toEqual([b("data")]);
  expect(existsSync(at("root/run/data"))).toBe(false);
});

test("what shows through of one directory in two places differs where something is mounted", () => {
  using tree = open([part("one", "volume"), part("two", "volume"), part("one/sub", "inner")]);
  expect(read(tree, "one/sub/deep")).toBe("deep");
  expect(() => read(tree, "two/sub/deep")).toThrow("ENOENT");
});

test("nothing read-only is written to, by whatever way it is reached", () => {
  symlinkSync("/data", at("root/way"));
  using tree = open([part("data", "volume", true), part("free", "inner")], { writing: true });
  for (const path of ["data/new", "way/new", "free/../data/new", "data"])
    expect(() => tree.makeDirectory(b(path), 0o755)).toThrow("EROFS");
  expect(() => tree.chmod(b("data"), 0o700)).toThrow("EROFS");
  tree.makeDirectory(b("free/new"), 0o755);
  using sealed = open([part("data", "volume")], { writing: true, readOnlyRoot: true });
  expect(() => sealed.makeDirectory(b("new"), 0o755)).toThrow("EROFS");
  sealed.makeDirectory(b("data/new"), 0o755);
  expect(existsSync(at("volume/new"))).toBe(true);
  expect(readdirSync(at("root")).sort()).toEqual(["data", "etc", "way"]);
});

test("files that are mounted can be read and told of, not replaced", () => {
  using tree = open(usual(), { writing: true });
  expect(() => tree.parent(b("etc/hosts"))).toThrow("EBUSY");
  using looking = open(usual());
  expect(looking.stat(b("etc/hosts"))?.sizeBytes).toBe(9);
  expect(looking.isPart(b("etc/hosts"))).toBe(true);
  expect(looking.isPart(b("etc/nothing"))).toBe(false);
  for (const path of ["etc", "data", "data/sub", ""]) expect(looking.holdsPart(b(path))).toBe(true);
  expect(looking.holdsPart(b("data/file"))).toBe(false);
});

test("a part that turns out to be nothing is not there", () => {
  using tree = open([{ destination: b("data"), readOnly: true, open: () => undefined }]);
  expect(read(tree, "data/hidden")).toBe("hidden");
  expect(tree.list(b(""))).toEqual([b("data"), b("etc")]);
});

test("links in circles end, and every descriptor is given back", () => {
  symlinkSync("b", at("root/a"));
  symlinkSync("a", at("root/b"));
  linkSync(at("root/data/hidden"), at("root/data/second"));
  const before = descriptors();
  {
    using tree = open(usual());
    expect(() => read(tree, "a")).toThrow("ELOOP");
    expect(() => read(tree, "a/x")).toThrow("ELOOP");
    expect(() => read(tree, "data/file/x")).toThrow("ENOTDIR");
    expect(() => tree.open(b("etc/hosts"), openFlag.path | openFlag.directory)).toThrow("ENOTDIR");
    for (const path of ["data/sub/deep", "etc", "nothing"]) tree.stat(b(path));
    tree.realPath(b("data/sub"));
    tree.list(b("data"));
  }
  expect(() => open([part("etc/hosts/below", "inner")])).toThrow("ENOTDIR");
  expect(descriptors()).toBe(before);
  expect(readFileSync(at("root/etc/hosts"), "utf8")).toBe("");
});
