/** `wherry registry serve` when things go wrong: a full disk, a kill at any time, two servers and their collectors under load. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountTmpfs, unmount } from "#kernel/mounts/mount.ts";
import { digestOf, ServedRegistry } from "./served-registry.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-registry-faults-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const filesBeneath = (path: string) =>
  readdirSync(path, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());

describe("a full disk", () => {
  test("in the middle of a blob is told, leaves nothing, and is over when there is room", async () => {
    const root = join(directory, "small");
    mkdirSync(root);
    mountTmpfs(root, { sizeBytes: 8 << 20 });
    try {
      await using served = await ServedRegistry.start(["--root", root]);
      const small = await served.putBlob("x", randomBytes(3 << 20));
      const large = randomBytes(16 << 20);
      const begun = await fetch(`${served.url}/v2/x/blobs/uploads/`, { method: "POST" });
      for (const [method, url] of [
        ["PATCH", `${served.url}${begun.headers.get("location")}`],
        ["POST", `${served.url}/v2/x/blobs/uploads/?digest=${digestOf(large)}`],
      ] as const) {
        const answer = await fetch(url, { method, body: large });
        const { errors } = (await answer.json()) as { errors: { code: string; message: string }[] };
        expect([answer.status, errors[0]?.code]).toEqual([503, "UNAVAILABLE"]);
        expect(errors[0]?.message).not.toContain(root);
      }
      // The small blob and its link.
      expect(filesBeneath(root).length).toBe(2);
      expect((await fetch(`${served.url}/v2/x/blobs/${small}`)).status).toBe(200);
      await served.putBlob("x", randomBytes(3 << 20));
      expect((await fetch(`${served.url}/healthz`)).status).toBe(200);
    } finally {
      unmount(root);
    }
  }, 30_000);
});

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

/** Every image that a tag leads to is whole, and every byte of it right. @returns How many there are. */
async function checkImages({ url }: ServedRegistry, repository: string): Promise<number> {
  const { tags = [] } = (await (await fetch(`${url}/v2/${repository}/tags/list`)).json()) as {
    tags?: string[];
  };
  for (const tag of tags) {
    const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`);
    const text = await answer.text();
    expect([answer.status, digestOf(text)]).toEqual([200, answer.headers.get("docker-content-digest") ?? ""]);
    const { config, layers } = JSON.parse(text) as Manifest;
    for (const { digest } of [config, ...layers]) {
      const blob = await fetch(`${url}/v2/${repository}/blobs/${digest}`);
      expect([blob.status, digestOf(await blob.bytes())]).toEqual([200, digest]);
    }
  }
  return tags.length;
}

test("a kill at any time leaves images that are whole, or none", async () => {
  const root = join(directory, "killed");
  const config = join(directory, "killed.json");
  writeFileSync(config, JSON.stringify({ "collect-every-seconds": 1, "grace-seconds": 5 }));
  const flags = ["--root", root, "--config", config];
  let count = 0;
  for (let round = 0; round < 6; round++) {
    await using served = await ServedRegistry.start(flags);
    await checkImages(served, "x");
    const pushing = (async () => {
      try {
        for (;;) await served.putImage("x", `t${count++ % 7}`, [randomBytes(200_000), "shared"]);
      } catch {
        // It was killed.
      }
    })();
    await Bun.sleep(150 + 60 * round);
    await served.end("SIGKILL");
    await pushing;
  }
  await using served = await ServedRegistry.start(flags);
  expect(await checkImages(served, "x")).toBeGreaterThan(0);
}, 60_000);

test("two servers of one root, both collecting at every moment, lose nothing that is pushed, mounted or shared", async () => {
  const root = join(directory, "shared");
  const config = join(directory, "shared.json");
  writeFileSync(config, JSON.stringify({ "collect-every-seconds": 1, "grace-seconds": 2 }));
  const flags = ["--root", root, "--config", config];
  await using one = await ServedRegistry.start(flags);
  await using two = await ServedRegistry.start(flags);
  const until = Date.now() + 6000;
  const work = async (served: ServedRegistry, other: ServedRegistry, repository: string) => {
    for (let count = 0; Date.now() < until; count++) {
      await served.putImage(repository, `t${count % 3}`, [`layer ${count % 5}`, randomBytes(50_000)]);
      const digest = await other.putImage(repository, "passing", [`layer ${count % 4}`]);
      const from = `mount=${digestOf(`layer ${count % 4}`)}&from=${repository}`;
      const mounted = await fetch(`${served.url}/v2/mounted/blobs/uploads/?${from}`, { method: "POST" });
      expect(mounted.status).toBe(201);
      // The other one may have taken the same image away already.
      const gone = await fetch(`${served.url}/v2/${repository}/manifests/${digest}`, { method: "DELETE" });
      expect([202, 404]).toContain(gone.status);
    }
  };
  await Promise.all([work(one, two, "a"), work(two, one, "a/b"), work(one, one, "c")]);
  for (const repository of ["a", "a/b", "c"]) expect(await checkImages(two, repository)).toBe(3);
}, 60_000);
