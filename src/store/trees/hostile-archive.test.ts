/** Each evil archive into a container's files and into an image's layer: nothing outside is touched, nothing hangs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytePath } from "#kernel/files/byte-path.ts";
import { openAt, openFlag } from "#kernel/files/files-at.ts";
import { MountedTree } from "#kernel/files/mounted-tree.ts";
import { removeTreeAt } from "#kernel/files/remove-tree.ts";
import { Fault } from "#spec/fault.ts";
import { Layers } from "#store/layers/layers.ts";
import { Records } from "#store/records.ts";
import { type EvilArchive, evilArchives } from "#store/tar/evil-archives.ts";
import { archiveTree } from "./tree-archive.ts";
import { unpackIntoTree } from "./tree-unpack.ts";

let directory: string;
let records: Records;
let layers: Layers;
let before: string;
// Known before the tests are named, made when they run.
const place = join(tmpdir(), `wherry-evil-${process.pid}`);
const outside = join(place, "outside");
const archives = evilArchives(outside);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "wherry-hostile-"));
  mkdirSync(join(outside, "directory"), { recursive: true });
  writeFileSync(join(outside, "secret"), "secret");
  writeFileSync(join(outside, "directory", "file"), "file");
  before = snapshot(place);
  records = Records.open(join(directory, "records.db"));
  layers = await Layers.open(join(directory, "layers"), { records });
});
afterAll(() => {
  records[Symbol.dispose]();
  // What was unpacked may be deeper than any path.
  removeTreeAt(-100, bytePath(directory));
  rmSync(place, { recursive: true });
});

/** Everything there is to see of a tree. */
function snapshot(root: string): string {
  const lines = readdirSync(root, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const { mode, uid, gid, size, nlink, mtimeMs } = lstatSync(join(root, name));
      return `${name} ${mode} ${uid} ${gid} ${size} ${nlink} ${mtimeMs}`;
    });
  return lines.join("\n");
}

async function* inParts({ bytes }: EvilArchive): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
}

/** Done or refused with a reason; never a crash. */
async function outcome(work: Promise<unknown>): Promise<"done" | Fault> {
  try {
    await work;
    return "done";
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
    throw thrown;
  }
}

function expectTold(result: "done" | Fault): void {
  if (result === "done") return;
  expect(result.kind).not.toBe("internal");
  expect(result.message.length).toBeLessThan(6000);
}

test("there are many, each with a name of its own", () => {
  expect(archives.length).toBeGreaterThanOrEqual(60);
});

describe("into a container", () => {
  for (const archive of archives)
    test(archive.name, async () => {
      const root = mkdtempSync(join(directory, "root-"));
      for (const name of ["data", "etc"]) mkdirSync(join(root, name));
      symlinkSync(outside, join(root, "data", "leads-out"));
      writeFileSync(join(root, "etc", "passwd"), "passwd");
      const open = (writing: boolean) =>
        new MountedTree(openAt(-100, bytePath(root), openFlag.path | openFlag.directory), {
          parts: [],
          writing,
        });
      expectTold(
        await outcome(
          unpackIntoTree(inParts(archive), open(true), { directory: bytePath("data"), keepKinds: false }),
        ),
      );
      expect(snapshot(place)).toBe(before);
      // Nothing beside the directory it was meant for, except where links of the container lead.
      expect(readdirSync(root).filter((name) => !["data", "etc"].includes(name))).toEqual([]);
      expect(readFileSync(join(root, "etc", "passwd"), "utf8")).toBe("passwd");
      using tree = open(false);
      for await (const _ of archiveTree(tree, { start: bytePath(""), name: bytePath("/") }));
      expect(snapshot(place)).toBe(before);
    });
});

describe("into an image", () => {
  for (const archive of archives)
    test(archive.name, async () => {
      const result = await outcome(layers.apply(undefined, inParts(archive)));
      expectTold(result);
      expect(snapshot(place)).toBe(before);
      expect(readdirSync(join(directory, "layers", "incoming"))).toEqual([]);
      if (result !== "done") return;
      for (const { chainId } of layers.list()) {
        for await (const _ of layers.tar(chainId));
        await layers.remove(chainId);
      }
    });
});
