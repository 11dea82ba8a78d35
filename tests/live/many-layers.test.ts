/** An image of as many layers as an overlay takes: loaded, run, sent, fetched, saved, made one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import { layersMax } from "#spec/manifest.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { ServedRegistry } from "./served-registry.ts";

let engine: EngineUnderTest;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const cli = async (...args: string[]) => await engine.cli("wherry", args);
async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args);
  if (code !== 0) throw new Error(`exit ${code}: ${stdout}${stderr}`);
  return stdout.trim();
}

async function tarOf(add: (tar: ReturnType<typeof pack>) => void): Promise<Buffer> {
  const tar = pack();
  add(tar);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Each layer has a file of its own, and puts its number into one that all have. */
async function archiveOf(name: string, count: number): Promise<string> {
  const layers = await Promise.all(
    Array.from({ length: count }, async (_, at) =>
      tarOf((tar) => {
        if (at === 0) {
          tar.entry({ name: "bin/busybox", mode: 0o755 }, readFileSync("/bin/busybox"));
          for (const each of ["sh", "ls", "cat"])
            tar.entry({ name: `bin/${each}`, type: "symlink", linkname: "busybox" });
        }
        tar.entry({ name: `each/${at}` }, "");
        tar.entry({ name: "last" }, String(at));
      }),
    ),
  );
  const digests = layers.map((layer) => `sha256:${createHash("sha256").update(layer).digest("hex")}`);
  const config = { architecture: "amd64", os: "linux", config: { Cmd: ["sh"] } };
  const archive = await tarOf((tar) => {
    const manifest = [{ Config: "c.json", RepoTags: [name], Layers: digests.map((_, at) => `${at}.tar`) }];
    tar.entry({ name: "manifest.json" }, JSON.stringify(manifest));
    tar.entry(
      { name: "c.json" },
      JSON.stringify({ ...config, rootfs: { type: "layers", diff_ids: digests } }),
    );
    for (const [at, layer] of layers.entries()) tar.entry({ name: `${at}.tar` }, layer);
  });
  const path = join(engine.directory, `${count}.tar`);
  writeFileSync(path, archive);
  return path;
}

const shown = async (image: string) =>
  await ok("run", "--rm", "--network", "none", image, "sh", "-c", "cat /last; echo; ls /each | grep -c .");

test("the most layers there can be: run, sent, fetched, saved, made one; one more is refused", async () => {
  await using registry = await ServedRegistry.start(["--root", join(engine.directory, "kept")], {
    netns: engine.netns,
  });
  const name = `${registry.host}/many:1`;
  await ok("load", "-q", "-i", await archiveOf(name, layersMax));
  const id = await ok("inspect", "-f", "{{.Id}}", name);
  const all = `${layersMax - 1}\n${layersMax}`;
  expect(await shown(name)).toBe(all);
  await ok("push", "-q", name);
  await ok("image", "squash", "-t", "one:1", name);
  await ok("rmi", name);
  await ok("pull", "-q", name);
  expect(await ok("inspect", "-f", "{{.Id}}", name)).toBe(id);
  expect(await shown(name)).toBe(all);
  expect(await shown("one:1")).toBe(all);
  await ok("run", "--network", "none", "--name", "above", name, "sh", "-c", "echo > /changed");
  const more = await cli("commit", "above", "more:1");
  expect(more).toMatchObject({ code: 1, stderr: expect.stringContaining("max depth exceeded") });
  const refused = await cli("load", "-q", "-i", await archiveOf("more:2", layersMax + 1));
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(String(layersMax));
}, 120_000);
