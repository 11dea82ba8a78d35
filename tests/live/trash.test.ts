/** Removed volumes: in the trash, back again, gone; whatever an engine that dies leaves half done. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountTmpfs, unmount } from "#kernel/mounts/mount.ts";
import { Records } from "#store/records.ts";
import type { TrashEntry } from "#volume/trash-choice.ts";
import type { VolumeRecord } from "#volume/volume-record.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => {
  await engine.removeContainers();
  await done("volume", "prune", "--all", "--force", "--now");
  await done("trash", "empty", "--force");
});

const wherry = async (...words: string[]) => await engine.cli("wherry", words);

async function done(...words: string[]): Promise<string> {
  const { stdout, stderr, code } = await wherry(...words);
  expect(`${stderr}${code}`).toBe("0");
  return stdout.trim();
}

const volumes = async () => await done("volume", "ls", "-q");
const kept = async () => await done("undo", "--list", "--format", "{{.Name}} {{.Size}}");
const root = () => join(engine.directory, "data/volumes");
const trashed = () => readdirSync(join(root(), ".trash"));

const untilEmpty = async () =>
  await until(async () => (trashed().length === 0 ? true : undefined), "an empty trash");

/** A volume with a file of 1000 bytes. */
async function fill(name: string, ...flags: string[]): Promise<void> {
  await done("volume", "create", ...flags, name);
  writeFileSync(join(root(), name, "_data/file"), "x".repeat(1000));
}

test("a removed volume comes back with its files, labels, options and time; its name is free meanwhile", async () => {
  await fill("data", "--label", "team=a");
  const before = await done("volume", "inspect", "data");
  await done("volume", "rm", "data");
  expect(await volumes()).toBe("");
  expect(await kept()).toBe("data 1kB");
  await done("volume", "create", "data");
  const refused = await wherry("undo");
  expect(refused.code).toBe(1);
  const [, id = ""] = /'wherry undo --name NEW_NAME ([0-9a-f]{12})'/.exec(refused.stderr) ?? [];
  await done("volume", "rm", "--now", "data");
  expect(await done("undo", id)).toBe("data");
  expect(await done("volume", "inspect", "data")).toBe(before);
  expect(await done("run", "--rm", "-v", "data:/d", "busybox", "wc", "-c", "/d/file")).toBe("1000 /d/file");
  expect([await kept(), trashed()]).toEqual(["", []]);
  // Another name, and options that mount something else.
  await done("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "memory");
  await done("volume", "rm", "memory");
  expect(await done("undo", "--name", "again", "memory")).toBe("again");
  expect(await done("volume", "inspect", "-f", "{{.Options.o}} {{.Mountpoint}}", "again")).toBe(
    `size=1m ${join(root(), "again/_data")}`,
  );
  expect((await wherry("undo", "--name", "no/name", "x")).stderr).toContain('only "[a-zA-Z0-9]');
});

test("one removal is undone as one: of a prune, of several names, of a container's volumes", async () => {
  await fill("one");
  await fill("two");
  const asked = await engine.cli("wherry", ["volume", "prune", "--all"], { input: "n\n" });
  expect(asked.stdout).toMatch(/one +1kB +.* ago\ntwo +1kB .*\n2 in all, 2kB\./);
  expect(await done("volume", "prune", "--all", "--dry-run")).toContain("2 in all, 2kB.");
  expect((await volumes()).split("\n")).toEqual(["one", "two"]);
  expect(await done("volume", "prune", "--all", "--force")).toContain("'wherry undo' brings them back");
  expect((await done("undo")).split("\n").sort()).toEqual(["one", "two"]);
  await done("volume", "rm", "one", "two");
  expect((await done("undo")).split("\n").sort()).toEqual(["one", "two"]);
  const script = "echo a > /a/f; echo b > /b/f";
  const anonymous = ["-v", "/a", "-v", "/b", "-v", "/empty"];
  await done("run", "--name", "box", ...anonymous, "busybox", "sh", "-c", script);
  expect(await done("rm", "-v", "--dry-run", "box")).toContain("3 in all, 4B.");
  await done("rm", "-v", "box");
  expect((await volumes()).split("\n")).toEqual(["one", "two"]);
  // An empty one that nobody named is no loss.
  expect((await done("undo")).split("\n")).toHaveLength(2);
  expect((await volumes()).split("\n")).toHaveLength(4);
}, 20_000);

test("--rm and --now leave nothing, nor does a prune with it", async () => {
  await done("run", "--name", "box", "-v", "/a", "busybox", "sh", "-c", "echo a > /a/f");
  await done("rm", "-v", "box");
  await done("run", "--rm", "-v", "/a", "busybox", "sh", "-c", "echo a > /a/f");
  expect(trashed()).toHaveLength(1);
  await done("run", "--name", "box", "-v", "/a", "busybox", "sh", "-c", "echo a > /a/f");
  await done("rm", "-v", "--now", "box");
  expect(trashed()).toHaveLength(1);
  await fill("data");
  await done("volume", "rm", "--now", "data");
  expect(trashed()).toHaveLength(1);
  await fill("data");
  await done("volume", "rm", "data");
  expect(await done("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}")).toContain(
    "Trash 2 1.002kB",
  );
  // What nobody named goes without --all, what somebody did goes with it.
  expect(await done("volume", "prune", "--force", "--now")).toBe("Total reclaimed space: 2B");
  expect(await kept()).toBe("data 1kB");
  expect(await done("volume", "prune", "--force", "--now", "--all")).toBe("Total reclaimed space: 1kB");
  expect(trashed()).toEqual([]);
  expect((await wherry("undo")).stderr).toContain("nothing to undo");
}, 20_000);

test.skipIf(dockerCli === null)("plain requests of the docker CLI can be undone", async () => {
  await fill("data");
  expect((await engine.cli("docker", ["volume", "rm", "data"])).stdout).toBe("data\n");
  expect(await done("undo")).toBe("data");
  const pruned = await engine.cli("docker", ["volume", "prune", "-af"]);
  expect(pruned.stdout).toContain("Deleted Volumes:\ndata\n\nTotal reclaimed space: 1kB");
  expect(await done("undo", "data")).toBe("data");
});

describe("an engine that died", () => {
  async function meanwhile(
    change: (
      volumes: ReturnType<typeof table<VolumeRecord>>,
      trash: ReturnType<typeof table<TrashEntry>>,
    ) => void,
  ): Promise<void> {
    await engine.stop("SIGKILL");
    {
      using records = Records.open(join(engine.directory, "data/records.db"));
      change(table(records, "volumes"), table(records, "volume-trash"));
    }
    await engine.start();
  }
  const table = <T>(records: Records, name: string) => records.table<T>(name);
  const entryOf = (volume: VolumeRecord | undefined): TrashEntry => {
    if (volume === undefined) throw new Error("no record");
    return { id: "0123456789ab", removal: "0123456789ab", volume, removedAt: new Date().toISOString() };
  };

  test("between the record and the directory: the removal is finished", async () => {
    await fill("data");
    await meanwhile((volumes, trash) => {
      trash.put("0123456789ab", entryOf(volumes.get("data")));
      volumes.delete("data");
    });
    expect([await volumes(), await kept(), trashed()]).toEqual(["", "data 1kB", ["0123456789ab"]]);
    expect(await done("undo")).toBe("data");
    expect(existsSync(join(root(), "data/_data/file"))).toBe(true);
  });

  test("while it brought one back: it is back", async () => {
    await fill("data");
    await meanwhile((volumes, trash) => {
      trash.put("0123456789ab", { ...entryOf(volumes.get("data")), restoring: "data" });
      renameSync(join(root(), "data"), join(root(), ".trash/0123456789ab"));
    });
    expect([await volumes(), await kept(), trashed()]).toEqual(["data", "", []]);
    expect(existsSync(join(root(), "data/_data/file"))).toBe(true);
  });

  test("while it took one away for good: the rest goes; so does what no record speaks of", async () => {
    await fill("data");
    await meanwhile((volumes, trash) => {
      trash.put("0123456789ab", { ...entryOf(volumes.get("data")), going: true });
      volumes.delete("data");
      renameSync(join(root(), "data"), join(root(), ".trash/0123456789ab"));
      mkdirSync(join(root(), ".trash/ba9876543210/_data"), { recursive: true });
    });
    expect([await volumes(), await kept()]).toEqual(["", ""]);
    await untilEmpty();
  });
});

test("kept for as long as the engine is told, and not when it is told so", async () => {
  await fill("data");
  await fill("more");
  await done("volume", "rm", "data");
  await engine.stop();
  await engine.start("--volume-trash", "1ms");
  await untilEmpty();
  await engine.stop();
  await engine.start("--volume-trash", "0");
  await done("volume", "rm", "more");
  expect([await kept(), trashed()]).toEqual(["", []]);
  await engine.stop();
  await engine.start();
}, 20_000);

test("a disk that is short gets its room back, the oldest first", async () => {
  const small = join(engine.directory, "small");
  mkdirSync(small);
  mountTmpfs(small, { sizeBytes: 64 << 20 });
  try {
    await using other = await EngineUnderTest.startBeside(engine, "--data-root", small);
    const run = async (...words: string[]) => (await other.cli("wherry", words)).stdout.trim();
    const put = async (name: string, bytes: number) => {
      await run("volume", "create", name);
      writeFileSync(join(small, "volumes", name, "_data/big"), Buffer.alloc(bytes, 1));
    };
    await put("old", 20 << 20);
    await put("new", 10 << 20);
    await run("volume", "rm", "old");
    await run("volume", "rm", "new");
    expect(await run("undo", "--list", "--format", "{{.Name}}")).toBe("new\nold");
    const { bavail, bsize } = statfsSync(small);
    await put("needed", bavail * bsize - (4 << 20));
    // Whatever is removed has it look.
    await run("volume", "create", "nothing");
    await run("volume", "rm", "nothing");
    const left = async () => await run("undo", "--list", "--format", "{{.Name}}");
    await until(async () => ((await left()) === "nothing\nnew" ? true : undefined), "the oldest gone");
  } finally {
    unmount(small, { detach: true });
  }
}, 30_000);
