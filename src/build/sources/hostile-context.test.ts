/** Each evil archive as a build's context: nothing outside is touched, nothing hangs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytePath } from "#kernel/files/byte-path.ts";
import { removeTreeAt } from "#kernel/files/remove-tree.ts";
import { Fault } from "#spec/fault.ts";
import { evilArchives } from "#store/tar/evil-archives.ts";
import { receiveContext } from "./context.ts";

const place = join(tmpdir(), `wherry-evil-context-${process.pid}`);
const outside = join(place, "outside");
let before: string;

const seen = () =>
  readdirSync(place, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const { mode, size, nlink, mtimeMs } = lstatSync(join(place, name));
      return `${name} ${mode} ${size} ${nlink} ${mtimeMs}`;
    })
    .join("\n");

beforeAll(() => {
  mkdirSync(join(outside, "directory"), { recursive: true });
  writeFileSync(join(outside, "secret"), "secret");
  writeFileSync(join(outside, "directory", "file"), "file");
  before = seen();
});
afterAll(() => rmSync(place, { recursive: true }));

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
}

for (const { name, bytes } of evilArchives(outside))
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), "wherry-context-"));
    try {
      const signal = new AbortController().signal;
      const thrown: unknown = await receiveContext(inParts(bytes), {
        directory,
        dockerfile: "Dockerfile",
        signal,
      }).catch((error: unknown) => error);
      // None of them has a Dockerfile.
      expect(thrown).toBeInstanceOf(Fault);
      expect((thrown as Fault).kind).not.toBe("internal");
      expect(seen()).toBe(before);
      expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
    } finally {
      // What was unpacked may be as deep as a path can be.
      removeTreeAt(-100, bytePath(directory));
    }
  });
