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
  // There is a user of that name, but a number is no name.
  ["1000", [], { uid: 1000, gid: 0, additionalGids: [0], home: "/" }],
  ["web:70", [], { uid: 33, gid: 70, additionalGids: [70], home: "/srv" }],
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

test("of every number, either that number is the id or it is refused", () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 1;
    return state % below;
  };
  for (let round = 0; round < 500; round++) {
    const digits = Array.from({ length: 1 + next(24) }, () => next(10)).join("");
    const number = BigInt(digits);
    const evil = { passwd: `${digits}:x:0:0::/evil:\n`, group: `${digits}:x:0:\n` };
    const resolve = () => resolveUser(`${digits}:${digits}`, evil);
    if (number > 2147483647n) expect(resolve, `seed ${seed}`).toThrow("uids and gids must be in range");
    else expect(resolve(), `seed ${seed}`).toMatchObject({ uid: Number(number), gid: Number(number) });
  }
});

test.each([
  ["a uid past 31 bits", "evil:x:4294967296:0::/:\n", ""],
  ["a uid that is none", "evil:x:0x0:0::/:\n", ""],
  ["a negative gid", "evil:x:5:-1::/:\n", ""],
  ["a group past 31 bits that lists the user", "evil:x:5:5::/:\n", "g:x:4294967296:evil\n"],
])("%s in an image's files is refused", (_what, passwd, group) => {
  expect(() => resolveUser("evil", { passwd, group })).toThrow("uids and gids must be in range 0-2147483647");
});

test("a file of half a million lines is no burden", () => {
  const passwd = `${"a:x:1:1::/:\n".repeat(300_000)}web:x:33:44::/srv:\n`;
  const before = performance.now();
  expect(resolveUser("web", { passwd, group: "" }).uid).toBe(33);
  expect(performance.now() - before).toBeLessThan(5000);
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
