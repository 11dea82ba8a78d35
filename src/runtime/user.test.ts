import { expect, test } from "bun:test";
import { resolveUser } from "./user.ts";

const files = {
  passwd: "root:x:0:0:root:/root:/bin/sh\n# a comment\nweb:x:33:44::/srv:/bin/false\n1000:x:5:6::/odd:\n",
  group: "root:x:0:root\nwww:x:44:\nlogs:x:70:web,other\nadm:x:4:web\n",
};

const cases: [string, string[], object][] = [
  ["", [], { uid: 0, gid: 0, additionalGids: [0], home: "/root" }],
  ["web", [], { uid: 33, gid: 44, additionalGids: [44, 70, 4], home: "/srv" }],
  ["33", [], { uid: 33, gid: 44, additionalGids: [44, 70, 4], home: "/srv" }],
  ["web:logs", [], { uid: 33, gid: 70, additionalGids: [70], home: "/srv" }],
  ["web:12", ["adm", "99"], { uid: 33, gid: 12, additionalGids: [12, 4, 99], home: "/srv" }],
  ["4242", [], { uid: 4242, gid: 0, additionalGids: [0], home: "/" }],
  ["1000", [], { uid: 5, gid: 6, additionalGids: [6], home: "/odd" }],
  [":www", [], { uid: 0, gid: 44, additionalGids: [44], home: "/root" }],
];
for (const [spec, add, expected] of cases)
  test(`${JSON.stringify(spec)}${add.length > 0 ? ` with ${add.join(" ")}` : ""} is found`, () => {
    expect(resolveUser(spec, files, add)).toEqual(expected as ReturnType<typeof resolveUser>);
  });

test("an image without files still has root and numbers", () => {
  const none = { passwd: "", group: "" };
  expect(resolveUser("", none)).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: "/" });
  expect(resolveUser("7:8", none)).toEqual({ uid: 7, gid: 8, additionalGids: [8], home: "/" });
});

const refusals: [string, string[], string][] = [
  ["nobody", [], "unable to find user nobody: no matching entries in passwd file"],
  ["web:nogroup", [], "unable to find group nogroup: no matching entries in group file"],
  ["web", ["nogroup"], "Unable to find group nogroup: no matching entries in group file"],
  ["-1", [], "uids and gids must be in range 0-2147483647"],
  ["0:4294967295", [], "uids and gids must be in range 0-2147483647"],
];
for (const [spec, add, message] of refusals)
  test(`${spec} ${add.join(" ")} is refused: ${message}`, () => {
    expect(() => resolveUser(spec, files, add)).toThrow(message);
  });
