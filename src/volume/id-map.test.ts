import { expect, test } from "bun:test";
import { checkIdMap, idMapOf } from "./id-map.ts";

const root = { uid: 0, gid: 0 };

test("auto: the owner on disk and the container's user change places, everybody else stays", () => {
  expect(idMapOf("auto", { uid: 1000, gid: 0 }, root)).toEqual({
    uids: [
      { disk: 0, shown: 1000, count: 1 },
      { disk: 1, shown: 1, count: 999 },
      { disk: 1000, shown: 0, count: 1 },
      { disk: 1001, shown: 1001, count: 4294966294 },
    ],
    gids: [{ disk: 0, shown: 0, count: 4294967295 }],
  });
});

test("ranges as they are given", () => {
  expect(idMapOf("uids=1000-0-1#1-1-9;gids=0-0-5", root, root)).toEqual({
    uids: [
      { disk: 1000, shown: 0, count: 1 },
      { disk: 1, shown: 1, count: 9 },
    ],
    gids: [{ disk: 0, shown: 0, count: 5 }],
  });
});

test.each([
  ["", "say auto"],
  ["uids=0-0-1", "say auto"],
  ["uids=0-0-1;gids=0-0-1;x=1", "say auto"],
  ["uids=0-0;gids=0-0-1", '"0-0" is no range'],
  ["uids=0-0-0;gids=0-0-1", "is no range"],
  ["uids=0-4294967295-1;gids=0-0-1", "is no range"],
  ["uids=0-0-9#5-20-1;gids=0-0-1", "two ranges have an id in common"],
  ["uids=0-0-9#20-5-1;gids=0-0-1", "two ranges have an id in common"],
])("%j is refused: %s", (text, reason) => {
  expect(() => checkIdMap(text)).toThrow(reason);
});
