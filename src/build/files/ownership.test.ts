import { expect, test } from "bun:test";
import { parseMode, parseOwner } from "./ownership.ts";

const files = {
  passwd: "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:\nbroken\n",
  group: "root:x:0:\nweb:x:35:\nstaff:x:50:web\n",
};

test("parseOwner() takes names, numbers and both", () => {
  const both = (text: string) => [parseOwner(text, files, "classic"), parseOwner(text, files, "buildkit")];
  expect(both("web")).toEqual([
    { uid: 33, gid: 35 },
    { uid: 33, gid: 34 },
  ]);
  expect(both("web:staff")).toEqual(Array(2).fill({ uid: 33, gid: 50 }));
  expect(both("1000:web")).toEqual(Array(2).fill({ uid: 1000, gid: 35 }));
  expect(both("7")).toEqual(Array(2).fill({ uid: 7, gid: 7 }));
});

test("parseOwner() says which name the image does not know", () => {
  expect(() => parseOwner("nobody", files, "buildkit")).toThrow(
    "unable to convert uid/gid chown string to host mapping: can't find uid for user nobody: no such user: nobody",
  );
  expect(() => parseOwner("web:none", files, "buildkit")).toThrow(
    "can't find gid for group none: no such group: none",
  );
  expect(() => parseOwner("a:b:c", files, "buildkit")).toThrow("invalid chown string format: a:b:c");
});

test("parseMode() takes octal", () => {
  expect(parseMode("")).toBeUndefined();
  expect(parseMode("755")?.(0, false)).toBe(0o755);
  expect(parseMode("4755")?.(0, false)).toBe(0o4755);
  for (const bad of ["u=rwz", "888", "77777", "u=rwx,", "rwx"])
    expect(() => parseMode(bad)).toThrow(`invalid chmod parameter: '${bad}'`);
});

const symbolic: [change: string, before: number, directory: boolean, after: number][] = [
  ["u=rwx", 0o644, false, 0o744],
  ["u=rwX,go=rX", 0o600, false, 0o644],
  ["u=rwX,go=rX", 0o600, true, 0o755],
  ["a+x", 0o644, false, 0o755],
  ["+x", 0o644, false, 0o755],
  ["go-rwx", 0o777, false, 0o700],
  ["u+s,+t", 0o755, true, 0o5755],
  ["g=u", 0o750, false, 0o770],
  ["o+g,u=o", 0o340, false, 0o444],
  ["g=ux", 0, false, Number.NaN],
];
for (const [change, before, directory, after] of symbolic)
  test(`parseMode() ${change}`, () => {
    if (Number.isNaN(after)) expect(() => parseMode(change)).toThrow("invalid chmod parameter");
    else expect(parseMode(change)?.(before, directory)).toBe(after);
  });
