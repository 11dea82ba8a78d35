/** `wherry system check`: each kind of damage is found, said, and mended where nothing is lost by it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import { mountsBeneath, mountTmpfs } from "#kernel/mounts/mount.ts";
import { addBridge, deleteLink, listLinks } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace } from "#kernel/network/netns.ts";
import { Records } from "#store/records.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const wherry = async (...words: string[]) => await engine.cli("wherry", words);
const data = (...words: string[]) => join(engine.directory, "data", ...words);

async function done(...words: string[]): Promise<string> {
  const { stdout, stderr, code } = await wherry(...words);
  expect(`${stderr}${code}`).toBe("0");
  return stdout.trim();
}

const sound =
  /^Looked at \d+ containers, \d+ networks, \d+ volumes, \d+ blobs, \d+ layers; read .*: nothing is wrong\.$/;

/** Found without a repair, mended with one, and not found again. */
async function foundAndMended(...problems: RegExp[]): Promise<void> {
  const found = await wherry("system", "check");
  expect(found.code).toBe(1);
  for (const problem of problems) expect(found.stdout).toMatch(problem);
  expect(found.stdout).not.toContain("repaired: ");
  const mended = await wherry("system", "check", "--repair");
  expect(`${mended.stdout}${mended.code}`).toMatch(/, (\d+) repaired\.\n0$/);
  for (const problem of problems) expect(mended.stdout).toMatch(problem);
  expect(await done("system", "check")).toMatch(sound);
}

test("an engine at work is as it says; two checks at once are one too many", async () => {
  await done(
    "run",
    "-d",
    "--name",
    "works",
    "-p",
    "127.0.0.1:18080:80",
    "-v",
    "data:/v",
    "-v",
    "/w",
    "busybox",
    "sleep",
    "999",
  );
  await done("run", "--name", "rests", "busybox", "touch", "/changed");
  await done("run", "-d", "--name", "guest", "--network", "container:works", "busybox", "sleep", "999");
  await done("network", "create", "net");
  await done("network", "connect", "net", "works");
  await done("volume", "create", "gone");
  await done("volume", "rm", "gone");
  expect(await done("system", "check")).toMatch(sound);
  const lines = (await done("system", "check", "--format", "json")).split("\n");
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
    Summary: { Findings: 0, Looked: { containers: 3 } },
  });
  const client = await engine.client();
  const first = client.check({ repair: false })[Symbol.asyncIterator]();
  const [one, other] = await Promise.allSettled([first.next(), wherry("system", "check")]);
  expect(one.status).toBe("fulfilled");
  // The first may have come to its end before the second began.
  if (other.status === "fulfilled" && other.value.code !== 0)
    expect(other.value.stderr).toContain("a check runs already");
}, 60_000);

test("beside containers that come and go it finds nothing, and disturbs none", async () => {
  const run = async (): Promise<void> => {
    const mounts = ["-v", "shared:/s", "-v", "/w", "--tmpfs", "/t"];
    for (let number = 0; number < 3; number++)
      await done("run", "--rm", "-p", "80", ...mounts, "busybox", "sh", "-c", "echo a > /w/f");
  };
  let over = false;
  const runs = Promise.all([run(), run(), run()]).finally(() => {
    over = true;
  });
  let checks = 0;
  for (; !over || checks < 2; checks++) expect(await done("system", "check", "--repair")).toMatch(sound);
  await runs;
  await done("trash", "empty", "--force");
  await done("volume", "create", "gone");
  await done("volume", "rm", "gone");
}, 60_000);

test("blobs and layers that are damaged: removed when nothing needs them, told of when something does", async () => {
  const hex = "ab".repeat(32);
  writeFileSync(data("blobs/sha256", hex), "no such content");
  mkdirSync(data("layers/layers", hex, "files"), { recursive: true });
  mkdirSync(data("layers/writable", "nobodys", "upper"), { recursive: true });
  await foundAndMended(
    /blobs: blob sha256:abab\w+ is damaged: its bytes have the digest sha256:\w+/,
    /layers: \/\S+layers\/abab\w+ belongs to no record/,
    /layers: \/\S+writable\/nobodys belongs to no record/,
  );
  expect(existsSync(data("blobs/sha256", hex))).toBe(false);
  // What somebody needs stays, and keeps being told of.
  const client = await engine.client();
  const tar = pack();
  tar.entry({ name: "file" }, "content");
  tar.finalize();
  for await (const { error } of client.images.import(tar as AsyncIterable<Uint8Array>, {
    repo: "hurt",
    tag: "1",
    changes: [],
  }))
    expect(error).toBeUndefined();
  const { RootFS, Id } = await client.images.inspect("hurt:1");
  const layer = (RootFS.Layers?.[0] ?? "").slice("sha256:".length);
  writeFileSync(data("layers/layers", layer, "files/file"), "changed");
  appendFileSync(data("blobs/sha256", Id.slice("sha256:".length)), " ");
  const { stdout, code } = await wherry("system", "check", "--repair");
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /layers: layer sha256:\w+ is damaged: .*\n {2}to do: remove what needs it .*image .*hurt:1/,
  );
  expect(stdout).toMatch(
    /blobs: blob sha256:\w+ is damaged: .*\n {2}to do: remove the image and pull.*config of .*hurt:1/,
  );
  await done("rmi", "hurt:1");
  expect(await done("system", "check")).toMatch(sound);
}, 60_000);

test("volumes: lost directories and records, strays of the trash, stale mounts", async () => {
  await done("volume", "create", "lost");
  rmSync(data("volumes/lost"), { recursive: true });
  mkdirSync(data("volumes/found/_data"), { recursive: true });
  writeFileSync(data("volumes/found/_data/file"), "kept");
  mkdirSync(data("volumes/.trash/ab0123456789/_data"), { recursive: true });
  const [entry = ""] = readdirSync(data("volumes/.trash")).filter((name) => name !== "ab0123456789");
  rmSync(data("volumes/.trash", entry), { recursive: true });
  await done("volume", "create", "plain");
  mountTmpfs(data("volumes/plain/_data"), { sizeBytes: 1 << 20 });
  await foundAndMended(
    /volumes: the files of volume lost are gone/,
    /volumes: \/\S+volumes\/found belongs to no record/,
    /volumes: \/\S+ab0123456789 belongs to no removed volume/,
    /volumes: the files of the removed volume gone are gone from the trash/,
    /volumes: \/\S+plain\/_data is mounted, and no container has it/,
  );
  expect(await done("run", "--rm", "-v", "found:/v", "busybox", "cat", "/v/file")).toBe("kept");
  // The container that works was left alone.
  expect(await done("exec", "works", "sh", "-c", "echo on > /v/f; cat /v/f")).toBe("on");
}, 60_000);

test("networks: namespaces, interfaces, bridges and rules", async () => {
  const stray = join(engine.directory, "exec/netns/stray");
  makeNamespace(stray, () => undefined);
  await done("network", "create", "other");
  inNamespace(engine.netns, () => {
    using netlink = new Netlink();
    addBridge(netlink, "unrelated");
  });
  await foundAndMended(/networks: the network namespace \/\S+netns\/stray belongs to no container/);
  expect(existsSync(stray)).toBe(false);
  removeNamespace(stray);
  inNamespace(engine.netns, () => {
    using netlink = new Netlink();
    // Nobody else's is touched.
    expect(listLinks(netlink).some(({ name }) => name === "unrelated")).toBe(true);
    deleteLink(netlink, "unrelated");
    const bridges = listLinks(netlink).filter(({ name }) => name.startsWith("wh"));
    const empty = bridges.find(({ index }) => !listLinks(netlink).some(({ master }) => master === index));
    deleteLink(netlink, empty?.name ?? "");
  });
  await foundAndMended(/networks: the bridge wh\w+ of network other is gone/);
  // Other programs' changes are put right at once; what the engine's own hand did is not seen by that watch.
  await done("run", "--rm", "-p", "127.0.0.1:18081:80", "busybox", "true");
  expect(await done("system", "check")).toMatch(sound);
}, 60_000);

test("containers: what is left of runs and of records", async () => {
  await done("rm", "-f", "guest");
  const id = await done("inspect", "-f", "{{.Id}}", "rests");
  const merged = data("layers/writable", id, "merged");
  mountTmpfs(merged, { sizeBytes: 1 << 20 });
  mkdirSync(data("containers", "cd".repeat(32)));
  rmSync(data("layers/writable", id, "upper"), { recursive: true });
  await foundAndMended(
    /containers: container rests does not run, and still has its file system mounted/,
    /containers: \/\S+containers\/(cd)+ belongs to no container/,
    /layers: the changes of \w+ are gone/,
  );
  expect(mountsBeneath(merged)).toEqual([]);
  await done("start", "rests");
  await done("exec", "works", "true");
  await done("rm", "-f", "works", "rests");
  expect(await engine.leaks()).toEqual([]);
}, 60_000);

test("what a crash and lost records leave is put right at the start", async () => {
  await engine.stop("SIGKILL");
  mkdirSync(data("containers", "ef".repeat(32)));
  mkdirSync(data("layers/layers", "ef".repeat(32)));
  mkdirSync(data("volumes/orphan/_data"), { recursive: true });
  writeFileSync(data("volumes/orphan/_data/file"), "kept");
  {
    using records = Records.open(data("records.db"));
    records.table("volumes").delete("found");
  }
  await engine.start();
  expect(engine.log).toContain(
    "the directory of a volume orphan belonged to no record: it is a volume again",
  );
  expect(existsSync(data("containers", "ef".repeat(32)))).toBe(false);
  expect((await done("volume", "ls", "-q")).split("\n")).toEqual(expect.arrayContaining(["found", "orphan"]));
  expect(await done("system", "check")).toMatch(sound);
}, 60_000);
