import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf, first, ScriptedRegistry } from "#registry/scripted-registry.ts";
import { parseReference } from "#spec/reference.ts";
import { Arrivals } from "#store/arrivals.ts";
import { Registry } from "./registry.ts";
import { defaultRegistryOptions } from "./registry-options.ts";

const signal = new AbortController().signal;
let root: string;
let remote: ScriptedRegistry;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "wherry-upload-"));
  remote = await ScriptedRegistry.start();
});
afterEach(async () => {
  await remote[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

async function makeTarget() {
  const options = { ...defaultRegistryOptions, certificates: [], retryDelayMs: 1 };
  const registry = new Registry({ options, arrivals: await Arrivals.open(join(root, "arrivals")) });
  return registry.target(parseReference(`${remote.host}/team/app:1`), { signal });
}

describe("pushing", () => {
  const bytes = randomBytes(5 << 20);
  async function* inParts(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 256 << 10) yield bytes.subarray(at, at + (256 << 10));
  }

  test("a blob of unknown digest, and its manifest", async () => {
    const target = await makeTarget();
    const news: number[] = [];
    const sent = await target.upload(inParts, { signal, tell: (count) => news.push(count) });
    expect(sent).toEqual({ digest: digestOf(bytes), sizeBytes: bytes.length });
    expect(remote.blobs.get(sent.digest)?.equals(bytes)).toBe(true);
    expect(news.at(-1)).toBe(bytes.length);
    expect(await target.hasBlob(sent.digest, signal)).toBe(bytes.length);
    expect(await target.hasBlob(digestOf(Buffer.from("no")), signal)).toBeUndefined();
    await target.putManifest("1", { bytes: Buffer.from("{}"), mediaType: "a/b" }, signal);
    expect(remote.manifests.get("team/app:1")).toMatchObject({ type: "a/b" });
  });

  test("goes on at the byte the registry has", async () => {
    let received = 0;
    remote.scripts.push(
      first(
        1,
        ({ method }) => method === "PATCH",
        async (request) => {
          // What came until here is kept, as its status says.
          const id = request.url;
          const kept: Buffer[] = [];
          await new Promise<void>((enough) =>
            request.on("data", (part: Buffer) => {
              if (received > 1 << 20) return;
              kept.push(part);
              received += part.length;
              if (received > 1 << 20) enough();
            }),
          );
          const resume = new Request(`http://${remote.host}${id}`, {
            method: "PATCH",
            body: Buffer.concat(kept),
          });
          await fetch(resume);
          request.socket.destroy();
          return true;
        },
      ),
    );
    const target = await makeTarget();
    const sent = await target.upload(inParts, { signal });
    expect(remote.blobs.get(sent.digest)?.equals(bytes)).toBe(true);
    expect(received).toBeLessThan(bytes.length);
    expect(remote.count("GET", /uploads/)).toBe(1);
  });

  test("parts may be lent: each is sent, or copied, before the next is asked for", async () => {
    // A registry that is slow to read, so that much is under way.
    remote.scripts.push(
      first(
        1,
        ({ method }) => method === "PATCH",
        async () => {
          await Bun.sleep(50);
          return false;
        },
      ),
    );
    const target = await makeTarget();
    async function* lent(): AsyncGenerator<Uint8Array> {
      const part = Buffer.alloc(256 << 10);
      for (let at = 0; at < bytes.length; at += part.length) {
        bytes.copy(part, 0, at);
        yield part.subarray(0, 100);
        yield part.subarray(100);
        part.fill(0);
      }
    }
    const sent = await target.upload(lent, { signal });
    expect(sent.digest).toBe(digestOf(bytes));
    expect(remote.blobs.get(sent.digest)?.equals(bytes)).toBe(true);
  });

  test("takes a blob over from another repository, or says that it cannot", async () => {
    const target = await makeTarget();
    const digest = remote.addBlob(bytes);
    expect(await target.mount(digest, "other/app", signal)).toBe(true);
    expect(remote.asked.at(-1)?.path).toBe(
      `/v2/team/app/blobs/uploads/?mount=${encodeURIComponent(digest)}&from=other%2Fapp`,
    );
    expect(await target.mount(digestOf(Buffer.from("no")), "other/app", signal)).toBe(false);
  });
});
