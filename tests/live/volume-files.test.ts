/** Volumes made of others, and their files in and out: wherry's own commands, and what a crash leaves of them. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountTmpfs, unmount } from "#kernel/mounts/mount.ts";
import { Records } from "#store/records.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => {
  await engine.removeContainers();
  const names = (await done("volume", "ls", "-q")).split("\n").filter((name) => name !== "");
  if (names.length > 0) await done("volume", "rm", ...names);
});

async function wherry(...words: string[]) {
  return await engine.cli("wherry", words);
}

async function done(...words: string[]): Promise<string> {
  const { stdout, stderr, code } = await wherry(...words);
  expect(`${stderr}${code}`).toBe("0");
  return stdout.trim();
}

async function inside(volume: string, script: string): Promise<string> {
  return await done("run", "--rm", "-v", `${volume}:/v`, "busybox", "sh", "-ec", script);
}

const fill =
  "cd /v; mkdir d; echo one > d/f; ln d/f hard; ln -s d/f soft; chown 5:6 d; chmod 2770 d; chown 7:8 .; chmod 700 .";
const look = "cd /v; stat -c '%n %u:%g %a %h' . d d/f hard; cat soft; ls";
const filled = [". 7:8 700 3", "d 5:6 2770 2", "d/f 0:0 644 2", "hard 0:0 644 2", "one", "d", "hard", "soft"];

test("a clone has all that the other has, and is its own", async () => {
  await done("volume", "create", "--label", "team=a", "data");
  await inside("data", fill);
  expect(await done("volume", "clone", "data", "copy")).toBe("copy");
  expect((await inside("copy", look)).split("\n")).toEqual(filled);
  await inside("copy", "echo more > /v/new");
  expect((await inside("data", look)).split("\n")).toEqual(filled);
  expect(await done("volume", "inspect", "-f", "{{.Labels}}", "copy")).toBe("map[team:a]");
  const { stderr, code } = await wherry("volume", "clone", "data", "copy");
  expect(`${stderr}${code}`).toContain("a volume named copy exists");
});

test("a snapshot brings a volume back; not while a container has it", async () => {
  await inside("data", fill);
  const name = await done("volume", "snapshot", "data");
  expect(name).toMatch(/^data-\d{14}$/);
  expect(await done("volume", "ls", "-q", "--filter", "label=wherry.snapshot-of=data")).toBe(name);
  await inside("data", "rm -r /v/d /v/soft; echo bad > /v/soft");
  await done("run", "-d", "--name", "has", "-v", "data:/v", "busybox", "sleep", "99");
  expect((await wherry("volume", "restore", "data", name)).stderr).toContain(
    "stop the containers that have it",
  );
  await done("stop", "-t", "0", "has");
  await done("volume", "restore", "data", name);
  expect((await inside("data", look)).split("\n")).toEqual(filled);
}, 20_000);

test("another name; not while a container has it, and not twice", async () => {
  await inside("data", fill);
  await done("create", "--name", "has", "-v", "data:/v", "busybox", "true");
  expect((await wherry("volume", "mv", "data", "other")).stderr).toContain(
    "remove the containers that have it",
  );
  await done("rm", "has");
  await done("volume", "mv", "data", "other");
  expect((await inside("other", look)).split("\n")).toEqual(filled);
  expect(await done("volume", "ls", "-q")).toBe("other");
  await done("volume", "create", "third");
  expect((await wherry("volume", "mv", "other", "third")).stderr).toContain("there is a volume named third");
});

test("a rename that an engine did not get to finish is finished by the next", async () => {
  await inside("data", fill);
  await engine.stop("SIGKILL");
  const root = join(engine.directory, "data/volumes");
  {
    using records = Records.open(join(engine.directory, "data/records.db"));
    const table = records.table<{ name: string; mountpoint: string; from?: string }>("volumes");
    const record = table.get("data");
    if (record === undefined) throw new Error("no record");
    table.put("after", { ...record, name: "after", mountpoint: join(root, "after/_data"), from: "data" });
  }
  renameSync(join(root, "data"), join(root, "after"));
  mkdirSync(join(root, "after/_data.next"));
  await engine.start();
  expect((await inside("after", look)).split("\n")).toEqual(filled);
  expect(await done("volume", "ls", "-q")).toBe("after");
  expect(existsSync(join(root, "after/_data.next"))).toBe(false);
  expect(existsSync(join(root, "data"))).toBe(false);
}, 20_000);

test("export and import carry owners and links; cp goes both ways", async () => {
  await inside("data", fill);
  const tar = join(engine.directory, "data.tar");
  await done("volume", "export", "-o", tar, "data");
  await done("volume", "import", "-i", tar, "again");
  expect((await inside("again", look)).split("\n")).toEqual(filled);
  expect((await wherry("volume", "import", "-i", tar, "again")).stderr).toContain(
    "there is a volume named again",
  );
  // Names are no patterns.
  await done("volume", "import", "-i", tar, "ag.in");
  const local = join(engine.directory, "local");
  writeFileSync(local, "mine");
  await done("volume", "cp", local, "data:/d/");
  await done("volume", "cp", "data:/d/local", `${local}.back`);
  expect(readFileSync(`${local}.back`, "utf8")).toBe("mine");
  await inside("data", "ln -s /etc/hostname /v/out");
  expect((await wherry("volume", "cp", "-L", "data:/out", `${local}.out`)).stderr).toContain(
    "Could not find the file",
  );
  expect((await wherry("volume", "cp", "data:/x", "again:/x")).stderr).toContain(
    "copying between volumes is not supported",
  );
});

test("a full disk leaves the volume as it was, and no half of a clone", async () => {
  const root = join(engine.directory, "small");
  mkdirSync(root);
  mountTmpfs(root, { sizeBytes: 24 << 20 });
  try {
    await using small = await EngineUnderTest.startBeside(engine, "--data-root", root);
    const run = async (...words: string[]) => await small.cli("wherry", words);
    await run("volume", "create", "data");
    writeFileSync(join(root, "volumes/data/_data/big"), Buffer.alloc(12 << 20, 1));
    const cloned = await run("volume", "clone", "data", "copy");
    expect(cloned.stderr).toContain("no space left on device");
    expect((await run("volume", "ls", "-q")).stdout).toBe("data\n");
    await run("volume", "create", "tiny");
    expect((await run("volume", "restore", "tiny", "data")).stderr).toContain("no space left on device");
    expect((await run("volume", "restore", "data", "tiny")).code).toBe(0);
    expect(existsSync(join(root, "volumes/data/_data/big"))).toBe(false);
  } finally {
    unmount(root, { detach: true });
  }
}, 20_000);
