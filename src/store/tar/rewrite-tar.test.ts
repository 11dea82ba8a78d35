import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import { extract, pack } from "tar-stream";
import { clampTar } from "./rewrite-tar.ts";

const [old, young, epoch] = [new Date(1000), new Date(9_000_000), 5_000_000];

async function made(): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: "d/", type: "directory", mtime: young, uid: 7 });
  tar.entry({ name: "d/old", mtime: old, mode: 0o640 }, "o".repeat(700));
  tar.entry({ name: "d/young", mtime: young, pax: { "SCHILY.xattr.user.a": "b" } }, "");
  tar.entry({ name: "d/link", type: "symlink", linkname: "old", mtime: young });
  tar.finalize();
  return Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Buffer>));
}

async function clamped(bytes: Buffer, step: number): Promise<Buffer> {
  const source = (async function* () {
    for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  })();
  return Buffer.concat(await Array.fromAsync(clampTar(source, epoch)));
}

test("what is younger becomes as old as the moment, and nothing else changes", async () => {
  const bytes = await made();
  const once = await clamped(bytes, 100);
  expect((await clamped(bytes, 5000)).equals(once)).toBe(true);
  expect((await clamped(once, 999)).equals(once)).toBe(true);
  const found: unknown[] = [];
  for await (const entry of Readable.from([once]).pipe(extract())) {
    const { name, mtime, mode, uid, linkname } = entry.header;
    const pax = (entry.header.pax ?? {}) as Record<string, string>;
    const text = Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Buffer>));
    const attribute = pax["SCHILY.xattr.user.a"] ?? "";
    found.push([name, mtime?.getTime(), mode, uid, linkname ?? "", attribute, text.length]);
  }
  expect(found).toEqual([
    ["d/", epoch, 0o755, 7, "", "", 0],
    ["d/old", 1000, 0o640, 0, "", "", 700],
    ["d/young", epoch, 0o644, 0, "", "b", 0],
    ["d/link", epoch, 0o644, 0, "old", "", 0],
  ]);
});
