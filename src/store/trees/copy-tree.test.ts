import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytePath } from "#kernel/files/byte-path.ts";
import { closeDescriptor, makeNodeAt, openAt, openFlag } from "#kernel/files/files-at.ts";
import { getXattrDescriptor, setXattrDescriptor } from "#kernel/files/xattr.ts";
import { copyTree } from "./copy-tree.ts";

let directory: string;
let [source, target] = ["", ""];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-copy-"));
  [source, target] = [join(directory, "source"), join(directory, "target")];
  for (const path of [source, target]) mkdirSync(path);
});
afterEach(() => rmSync(directory, { recursive: true }));

async function copy(signal?: AbortSignal): Promise<void> {
  const [from, to] = [openSync(source, "r"), openSync(target, "r")];
  try {
    await copyTree(from, to, { signal });
  } finally {
    for (const fd of [from, to]) closeSync(fd);
  }
}

test("files as they are: owners, modes, times, attributes, links, holes, devices", async () => {
  mkdirSync(join(source, "d"));
  writeFileSync(join(source, "d/f"), "content");
  chownSync(join(source, "d/f"), 5, 6);
  chmodSync(join(source, "d/f"), 0o4751);
  utimesSync(join(source, "d/f"), 1, 1.5);
  linkSync(join(source, "d/f"), join(source, "hard"));
  symlinkSync("d/f", join(source, "soft"));
  chownSync(join(source, "d"), 7, 8);
  chmodSync(join(source, "d"), 0o2750);
  chownSync(source, 9, 10);
  chmodSync(source, 0o711);
  const holes = openSync(join(source, "holes"), "w");
  ftruncateSync(holes, 64 << 20);
  writeSync(holes, "end", (32 << 20) + 5);
  setXattrDescriptor(holes, "user.note", Buffer.from("kept"));
  closeSync(holes);
  const top = openAt(-100, bytePath(source), openFlag.read);
  makeNodeAt(top, bytePath("null"), 0o020666, 1, 3);
  makeNodeAt(top, bytePath("pipe"), 0o010600, 0, 0);
  closeDescriptor(top);
  await copy();
  expect(readdirSync(target).sort()).toEqual(["d", "hard", "holes", "null", "pipe", "soft"]);
  const file = statSync(join(target, "d/f"));
  expect(file).toMatchObject({ uid: 5, gid: 6, mode: 0o104751, mtimeMs: 1500, nlink: 2 });
  expect(readFileSync(join(target, "d/f"), "utf8")).toBe("content");
  expect(statSync(join(target, "hard")).ino).toBe(file.ino);
  expect(readlinkSync(join(target, "soft"))).toBe("d/f");
  expect(statSync(join(target, "d"))).toMatchObject({ uid: 7, gid: 8, mode: 0o042750 });
  expect(statSync(target)).toMatchObject({ uid: 9, gid: 10, mode: 0o040711 });
  const sparse = statSync(join(target, "holes"));
  expect(sparse.size).toBe(64 << 20);
  expect(sparse.blocks).toBeLessThan(64);
  expect(
    readFileSync(join(target, "holes"))
      .subarray((32 << 20) + 5, (32 << 20) + 8)
      .toString(),
  ).toBe("end");
  const copied = openSync(join(target, "holes"), "r");
  expect(getXattrDescriptor(copied, "user.note")?.toString()).toBe("kept");
  closeSync(copied);
  expect(lstatSync(join(target, "null"))).toMatchObject({
    rdev: statSync("/dev/null").rdev,
    mode: statSync(join(source, "null")).mode,
  });
  expect(lstatSync(join(target, "pipe")).isFIFO()).toBe(true);
});

test("what is there is not written over", async () => {
  writeFileSync(join(source, "f"), "new");
  symlinkSync(join(directory, "elsewhere"), join(target, "f"));
  await expect(copy()).rejects.toThrow("EEXIST");
  expect(readdirSync(directory).sort()).toEqual(["source", "target"]);
});

test("directories that become links meanwhile lead nowhere", async () => {
  writeFileSync(join(directory, "secret"), "secret");
  for (let number = 0; number < 400; number++) {
    mkdirSync(join(source, `d${number}`));
    writeFileSync(join(source, `d${number}/secret`), "own");
  }
  const flips = setInterval(() => {
    for (let number = 0; number < 400; number += 7) {
      const path = join(source, `d${number}`);
      if (!lstatSync(path).isDirectory()) continue;
      renameSync(path, `${path}.was`);
      symlinkSync(directory, path);
    }
  }, 1);
  try {
    await copy();
  } finally {
    clearInterval(flips);
  }
  const seen = readdirSync(target).filter((name) => lstatSync(join(target, name)).isDirectory());
  const contents = new Set(
    seen.flatMap((name) =>
      readdirSync(join(target, name)).map((file) => readFileSync(join(target, name, file), "utf8")),
    ),
  );
  expect([...contents]).toEqual(["own"]);
});

test("it ends with its signal", async () => {
  for (let number = 0; number < 300; number++) writeFileSync(join(source, `f${number}`), "x");
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await expect(copy(stop.signal)).rejects.toThrow("enough");
});
