import { expect, test } from "bun:test";
import { readImageConfig } from "./image-config.ts";

const read = (value: unknown) => readImageConfig(new TextEncoder().encode(JSON.stringify(value)));
const least = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: null } };

test("what is missing or null is filled in, what is unknown left out", () => {
  expect(read({ ...least, config: null, history: null, container: "x" })).toEqual({
    ...{ architecture: "amd64", os: "linux", config: {}, history: [] },
    rootfs: { type: "layers", diff_ids: [] },
  });
  expect(read({ ...least, config: { Cmd: "sh", Env: null, Labels: { a: null } } }).config).toEqual({
    Cmd: ["sh"],
    Labels: { a: "" },
  });
});

test.each([
  [{ ...least, config: { Env: { a: 1 } } }, "config.Env"],
  [{ ...least, rootfs: { type: "layers", diff_ids: ["../../etc"] } }, "rootfs.diff_ids.0"],
  [{ ...least, rootfs: { type: "other" } }, "rootfs.type"],
  [{ architecture: "amd64" }, "os"],
  [[], "its root"],
])("%j is refused", (value, where) => {
  expect(() => read(value)).toThrow(where);
});
