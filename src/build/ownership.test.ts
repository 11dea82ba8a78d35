import { expect, test } from "bun:test";
import { parseMode, parseOwner } from "./ownership.ts";

const files = {
  passwd: "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:\nbroken\n",
  group: "root:x:0:\nweb:x:35:\nstaff:x:50:web\n",
};

test("parseOwner() takes names, numbers and both", () => {
  expect(parseOwner("web", files)).toEqual({ uid: 33, gid: 35 });
  expect(parseOwner("web:staff", files)).toEqual({ uid: 33, gid: 50 });
  expect(parseOwner("1000:web", files)).toEqual({ uid: 1000, gid: 35 });
  expect(parseOwner("7", files)).toEqual({ uid: 7, gid: 7 });
});

test("parseOwner() says which name the image does not know", () => {
  expect(() => parseOwner("nobody", files)).toThrow(
    "unable to convert uid/gid chown string to host mapping: can't find uid for user nobody: no such user: nobody",
  );
  expect(() => parseOwner("web:none", files)).toThrow("can't find gid for group none: no such group: none");
  expect(() => parseOwner("a:b:c", files)).toThrow("invalid chown string format: a:b:c");
});

test("parseMode() takes octal and nothing else", () => {
  expect(parseMode("")).toBeUndefined();
  expect(parseMode("755")).toBe(0o755);
  expect(parseMode("4755")).toBe(0o4755);
  for (const bad of ["u=rwx", "888", "77777"])
    expect(() => parseMode(bad)).toThrow(`invalid chmod parameter: '${bad}'`);
});
