import { expect, test } from "bun:test";
import { closeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Errno } from "#kernel/libc.ts";
import { connectSeqpacket } from "./seqpacket.ts";

test("a socket that is not there is said to be missing, however long its path", async () => {
  const directory = await mkdtemp(join(tmpdir(), "wherry-seqpacket-"));
  try {
    for (const name of ["s", "s".repeat(70)]) {
      let thrown: unknown;
      try {
        closeSync(connectSeqpacket(join(directory, name)));
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(Errno);
      expect((thrown as Errno).code).toBe("ENOENT");
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
