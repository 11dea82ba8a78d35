import { describe, expect, test } from "bun:test";
import {
  type CopyEnd,
  followedName,
  keepEnd,
  planCopy,
  renamed,
  splitCopyArgument,
  splitEntry,
} from "./copy-paths.ts";

test("a colon makes a container's path, unless the path is a local one for sure", () => {
  for (const [text, container, path] of [
    ["web:/etc", "web", "/etc"],
    ["web:etc:x", "web", "etc:x"],
    ["web:", "web", ""],
    ["/etc:x", "", "/etc:x"],
    ["./a:b", "", "./a:b"],
    ["plain", "", "plain"],
    ["-", "", "-"],
  ] as const)
    expect(splitCopyArgument(text)).toEqual({ container, path });
});

test("what a path's end says survives its cleaning", () => {
  for (const [cleaned, original, kept] of [
    ["/a", "a", "/a"],
    ["/a", "a/", "/a/"],
    ["/a", "a/.", "/a/."],
    ["/a", "a/./", "/a/./"],
    ["/", "/.", "/."],
    ["/", "/", "/"],
  ] as const)
    expect(keepEnd(cleaned, original)).toBe(kept);
  expect(splitEntry("/a/b/")).toEqual({ directory: "/a", name: "b" });
  expect(splitEntry("/a/b/.")).toEqual({ directory: "/a/b", name: "." });
  expect(splitEntry("/")).toEqual({ directory: "/", name: "/" });
  expect(splitEntry("a")).toEqual({ directory: ".", name: "a" });
});

test("a link that was followed keeps the name it was asked for by", () => {
  expect(followedName("/x/link", "/y/real")).toEqual({ path: "/y/real", rename: "link" });
  expect(followedName("/x/link/", "/y/real")).toEqual({ path: "/y/real/", rename: "link" });
  expect(followedName("/x/link/.", "/y/real")).toEqual({ path: "/y/real/." });
  expect(followedName("/x/same", "/y/same")).toEqual({ path: "/y/same" });
});

describe("the rules of docker cp", () => {
  const file = (path: string): CopyEnd => ({ path, exists: true, isDirectory: false });
  const directory = (path: string): CopyEnd => ({ path, exists: true, isDirectory: true });
  const nothing = (path: string): CopyEnd => ({ path, exists: false, isDirectory: false });
  const cases: [string, CopyEnd, CopyEnd, ReturnType<typeof planCopy> | string][] = [
    [
      "a file to nothing becomes that file",
      file("/s/f"),
      nothing("/d/g"),
      { directory: "/d", rename: { from: "f", to: "g" } },
    ],
    ["a file to nothing with a slash is an error", file("/s/f"), nothing("/d/g/"), "no such directory"],
    [
      "a file to a file replaces it",
      file("/s/f"),
      file("/d/g"),
      { directory: "/d", rename: { from: "f", to: "g" } },
    ],
    ["a file to a directory goes into it", file("/s/f"), directory("/d"), { directory: "/d" }],
    [
      "a directory to nothing becomes that directory",
      directory("/s"),
      nothing("/d"),
      { directory: "/", rename: { from: "s", to: "d" } },
    ],
    ["a directory to a file is an error", directory("/s"), file("/d"), "cannot copy directory"],
    ["a directory to a directory goes into it", directory("/s"), directory("/d"), { directory: "/d" }],
    [
      "what is in a directory to nothing becomes that directory",
      directory("/s/."),
      nothing("/d"),
      { directory: "/", rename: { from: ".", to: "d" } },
    ],
    [
      "what is in a directory to a directory goes into it",
      directory("/s/."),
      directory("/d"),
      { directory: "/d" },
    ],
  ];
  for (const [what, source, destination, expected] of cases)
    test(what, () => {
      if (typeof expected === "string") expect(() => planCopy(source, destination)).toThrow(expected);
      else expect(planCopy(source, destination)).toEqual(expected);
    });
});

test("only the first part of a name is replaced", () => {
  const names = (from: string, to: string, ...of: string[]) => of.map((name) => renamed(name, { from, to }));
  expect(names("d", "e", "d", "d/", "d/d", "dd", "x/d")).toEqual(["e", "e/", "e/d", "dd", "x/d"]);
  expect(names(".", "e", ".", "./", "./f", ".hidden")).toEqual(["e", "e/", "e/f", ".hidden"]);
  expect(names("/", "e", "/", "/bin/", "bin")).toEqual(["e/", "e/bin/", "e/bin"]);
  expect(renamed("d/x", undefined)).toBe("d/x");
});
