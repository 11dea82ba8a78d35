import { expect, test } from "bun:test";
import { decideCacheBytes } from "./builder-options.ts";
import { parseConfigFile } from "./daemon-options.ts";

test.each([
  ["{}", undefined],
  ['{"builder":{"gc":{"enabled":true}}}', undefined],
  ['{"builder":{"gc":{"enabled":false,"defaultKeepStorage":"1GB"}}}', Number.POSITIVE_INFINITY],
  ['{"builder":{"gc":{"defaultKeepStorage":"20GB"}}}', 20 * 2 ** 30],
  ['{"builder":{"gc":{"defaultReservedSpace":"1.5 MiB"}}}', 1.5 * 2 ** 20],
  ['{"builder":{"gc":{"defaultMaxUsedSpace":"700"}}}', 700],
])("%s", (text, bytes) => {
  expect(decideCacheBytes(parseConfigFile(text, "daemon.json"))).toBe(bytes as number);
});

test("what is no size and what there is not is refused by name", () => {
  for (const text of ["much", "0", "-1GB", ""])
    expect(() => decideCacheBytes({ builder: { gc: { defaultKeepStorage: text } } })).toThrow("invalid size");
  expect(() => parseConfigFile('{"builder":{"gc":{"policy":[]}}}', "daemon.json")).toThrow(
    "builder.gc.policy",
  );
});
