import { expect, test } from "bun:test";
import { parseMountOptions } from "./mount-options.ts";

test.each([
  ["", { flags: 0, data: "" }],
  ["defaults", { flags: 0, data: "" }],
  ["bind", { flags: 0x1000, data: "" }],
  ["rbind,ro", { flags: 0x5001, data: "" }],
  ["ro,rw,nosuid", { flags: 2, data: "" }],
  ["size=100m,uid=1000,nodev", { flags: 4, data: "size=100m,uid=1000" }],
  ["bind,rshared", { flags: 0x1000, data: "", propagation: "rshared" as const }],
  ["addr=10.0.0.1,constructor", { flags: 0, data: "addr=10.0.0.1,constructor" }],
])("%j", (text, options) => {
  expect(parseMountOptions(text)).toEqual(options);
});
