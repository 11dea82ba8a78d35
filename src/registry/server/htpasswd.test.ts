import { expect, test } from "bun:test";
import { changedHtpasswd, checkUserName, parseHtpasswd } from "./htpasswd.ts";

const hash = `$2b$05$${"a".repeat(53)}`;
const other = `$2b$05$${"b".repeat(53)}`;

test("a user is added, replaced in his place, and removed", () => {
  const one = changedHtpasswd("# team\n", "ann", hash);
  const two = changedHtpasswd(one, "bob", hash);
  expect(two).toBe(`# team\nann:${hash}\nbob:${hash}\n`);
  expect(changedHtpasswd(two, "ann", other)).toBe(`# team\nann:${other}\nbob:${hash}\n`);
  expect(changedHtpasswd(two, "ann", undefined)).toBe(`# team\nbob:${hash}\n`);
  expect([...parseHtpasswd(two, "users").keys()]).toEqual(["ann", "bob"]);
});

test.each(["", "a:b", "a\nb", "#a", " a"])("%p is no name", (name) => {
  expect(() => checkUserName(name)).toThrow("is no user's name");
});
