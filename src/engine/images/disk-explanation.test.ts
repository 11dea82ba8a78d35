import { expect, test } from "bun:test";
import { hintOf, partNames, partOf } from "./disk-explanation.ts";

const owners = {
  layer: (hex: string) => ({ aa: "image" as const, bb: "build" as const })[hex],
  isAnonymous: (name: string) => name.length > 60,
};

test.each([
  ["layers", undefined],
  ["layers/layers", undefined],
  ["layers/layers/aa", "image layers"],
  ["layers/layers/bb", "build cache layers"],
  ["layers/layers/cc", "layers nobody needs"],
  ["layers/writable/id", "container changes"],
  ["layers/incoming", "layers coming or going"],
  ["layers/outgoing", "layers coming or going"],
  ["layers/odd", "everything else"],
  ["volumes/data", "named volumes"],
  [`volumes/${"0".repeat(64)}`, "anonymous volumes"],
  ["volumes/.trash", "trash"],
  ["containers/id", undefined],
  ["containers/id/container.log.3", "logs"],
  ["containers/id/hosts", "container files"],
  ["records.db-wal", "records"],
  ["contexts", "build contexts and state"],
  ["somebody's", "everything else"],
])("%s is of %p", (path, part) => {
  expect(partOf(path.split("/"), owners)).toBe(part as never);
});

test("each part says how it gets smaller", () => {
  expect(partNames.filter((name) => hintOf(name) === "")).toEqual(["everything else"]);
});
