import { expect, test } from "bun:test";
import type { ContainerRecord, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { mountsFrom } from "./volumes-from.ts";

const volume: MountPoint = {
  ...{ type: "volume", name: "v", source: "/vols/v", destination: "/data", driver: "local", mode: "z" },
  ...{ readWrite: true, propagation: "", copyUp: true, anonymous: true },
};
const bind: MountPoint = {
  ...{ type: "bind", source: "/host", destination: "/host", mode: "ro,rslave" },
  ...{ readWrite: false, propagation: "rslave", copyUp: false, anonymous: false },
};

function others(reference: string): ContainerRecord {
  if (reference === "gone") throw new Fault("not-found", "No such container: gone");
  const mounts = reference === "late" ? [{ ...volume, name: "w", source: "/vols/w" }] : [volume, bind];
  return { mounts } as unknown as ContainerRecord;
}

test("the mounts of another, never filled anew; anonymous ones stay so", () => {
  expect(mountsFrom(["a"], others)).toEqual([
    { ...volume, mode: "", copyUp: false },
    { ...bind, mode: "" },
  ]);
});

test("read-only at most what the other can write; what the other cannot write stays so", () => {
  expect(mountsFrom(["a:ro"], others).map(({ readWrite }) => readWrite)).toEqual([false, false]);
  expect(mountsFrom(["a:rw,z"], others).map(({ readWrite }) => readWrite)).toEqual([true, false]);
});

test("of one place the last one counts", () => {
  expect(mountsFrom(["a", "late"], others).map(({ source }) => source)).toEqual(["/vols/w", "/host"]);
});

test.each([
  ["", "volumes-from specification cannot be an empty string"],
  ["gone", "No such container: gone"],
  ["a:x", "invalid mode: x"],
  ["a:nocopy", "invalid mode: nocopy"],
  ["a:rshared", "invalid mode: rshared"],
  ["a:ro,rw", "invalid mode: ro,rw"],
])("%j is refused: %s", (spec, message) => {
  expect(() => mountsFrom([spec], others)).toThrow(new Fault("invalid", message));
});
