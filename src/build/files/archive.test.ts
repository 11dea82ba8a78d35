import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";
import { decompress, openArchive } from "./archive.ts";

const directory = mkdtempSync(join(tmpdir(), "wherry-archive-"));
let tar: Buffer;

beforeAll(async () => {
  const packed = pack();
  packed.entry({ name: "f" }, "content");
  packed.finalize();
  tar = await collect(packed as AsyncIterable<Uint8Array>);
});
afterAll(() => rmSync(directory, { recursive: true }));

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

async function* inParts(bytes: Uint8Array, size = 100) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function through(tool: string, bytes: Uint8Array): Promise<Uint8Array> {
  const child = Bun.spawn([tool, "-c"], { stdin: bytes, stdout: "pipe" });
  return new Uint8Array(await new Response(child.stdout).arrayBuffer());
}

describe("decompress()", () => {
  const compressors: Record<string, () => Promise<Uint8Array> | Uint8Array> = {
    nothing: () => tar,
    gzip: () => gzipSync(tar),
    zstd: () => zstdCompressSync(tar),
    bzip2: () => through("bzip2", tar),
    xz: () => through("xz", tar),
  };
  for (const [name, compress] of Object.entries(compressors))
    test.skipIf(Bun.which(name) === null && (name === "bzip2" || name === "xz"))(
      `reads ${name} whatever the parts it comes in`,
      async () => {
        const stream = await decompress(inParts(await compress(), 7));
        expect(await collect(stream.bytes)).toEqual(tar);
      },
    );

  test("says that data is cut off", async () => {
    const cut = gzipSync(Buffer.from(crypto.getRandomValues(new Uint8Array(50_000)))).subarray(0, 20_000);
    const reading = (async () => Array.fromAsync((await decompress(inParts(cut, 4096))).bytes))();
    await expect(reading).rejects.toThrow("the gzip data is damaged or cut off");
  });

  test("passes on an error of the source", async () => {
    async function* broken() {
      yield gzipSync(tar).subarray(0, 50);
      throw new Error("connection lost");
    }
    const reading = (async () => Array.fromAsync((await decompress(broken())).bytes))();
    await expect(reading).rejects.toThrow("connection lost");
  });
});

describe("openArchive()", () => {
  const files: [name: string, bytes: () => Uint8Array, archive: boolean][] = [
    ["a tar", () => tar, true],
    ["a compressed tar", () => gzipSync(tar), true],
    ["compressed text", () => gzipSync("hello"), false],
    ["text", () => Buffer.from("hello"), false],
    ["nothing", () => Buffer.alloc(0), false],
    ["what only starts like gzip", () => Buffer.from([0x1f, 0x8b, 1, 2, 3]), false],
  ];
  for (const [name, bytes, archive] of files)
    test(`${archive ? "takes" : "does not take"} ${name}`, async () => {
      const path = join(directory, "file");
      writeFileSync(path, bytes());
      const opened = await openArchive(path);
      expect(opened !== undefined).toBe(archive);
      if (opened === undefined) return;
      expect(await collect(opened.bytes)).toEqual(tar);
      expect(readFileSync(path)).toEqual(Buffer.from(bytes()));
    });
});
