/**
 * Volumes and what mounts show, through the API and docker's command line: options of the local driver, parts of volumes
 * (CVE-2026-17106, moby 26's subpath races), images as mounts, plugins, and who still has them after the engine's death.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { mountsBeneath, mountTmpfs, setPropagation, unmount } from "#kernel/mounts/mount.ts";
import { type CliResult, dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

/** Debian 12 has no docker CLI that is new enough; wherry's has the same words. */
const program = dockerCli ?? "wherry";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => {
  await engine.removeContainers();
  const { stdout } = await docker("volume", "ls", "-q");
  for (const name of stdout.split("\n").filter((line) => line !== ""))
    await docker("volume", "rm", "-f", name);
  expect(mounted()).toEqual([]);
});

async function docker(...words: readonly string[]): Promise<CliResult> {
  return await engine.cli(program, words);
}

/** @returns What it wrote. */
async function done(...words: string[]): Promise<string> {
  const { stdout, stderr, code } = await docker(...words);
  expect(`${stderr}${code}`).toBe("0");
  return stdout.trim();
}

/** A script in a container that has the volume at /v. */
async function inside(volume: string, script: string): Promise<string> {
  return await done("run", "--rm", "-v", `${volume}:/v`, "busybox", "sh", "-c", script);
}

async function refused(...words: string[]): Promise<string> {
  const { stderr, code } = await docker(...words);
  expect(code).not.toBe(0);
  return stderr;
}

/** What is mounted for volumes and their parts, not for root file systems. */
function mounted(): string[] {
  const { directory } = engine;
  return [join(directory, "data/volumes"), join(directory, "exec/mounts")].flatMap((root) =>
    mountsBeneath(root).map(({ target }) => target.slice(directory.length)),
  );
}

describe("the local driver", () => {
  test("memory is there while somebody has it, and is shared", async () => {
    await done("volume", "create", "m1", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=7");
    await done("run", "-d", "--name", "a1", "-v", "m1:/m", "busybox", "sh", "-c", "echo 1 > /m/f; sleep 99");
    const seen = await done(
      "run",
      "--rm",
      "-v",
      "m1:/m",
      "busybox",
      "sh",
      "-c",
      "stat -c %u /m; cat /m/f; mount",
    );
    expect(seen.split("\n").slice(0, 2)).toEqual(["7", "1"]);
    expect(seen).toContain("tmpfs on /m type tmpfs (rw,relatime,size=1024k,uid=7");
    expect(mounted()).toEqual(["/data/volumes/m1/_data"]);
    await done("rm", "-f", "a1");
    expect(mounted()).toEqual([]);
    expect(await done("run", "--rm", "-v", "m1:/m", "busybox", "ls", "/m")).toBe("");
  });

  test("a bind shows the host's directory, also to copies from a container at rest", async () => {
    const host = join(engine.directory, "shown");
    mkdirSync(host, { recursive: true });
    writeFileSync(join(host, "f"), "host");
    await done("volume", "create", "b1", "-o", "type=none", "-o", `device=${host}`, "-o", "o=bind,ro");
    await done("create", "--name", "c1", "-v", "b1:/b", "busybox", "sh", "-c", "cat /b/f; touch /b/g");
    expect(await done("cp", "c1:/b/f", "-")).toContain("host");
    expect(mounted()).toEqual([]);
    const { stdout, stderr } = await docker("start", "-a", "c1");
    expect(`${stdout}|${stderr}`).toContain("host|touch: /b/g: Read-only file system");
  });

  test("options are refused as dockerd refuses them", async () => {
    expect(await refused("volume", "create", "x1", "-o", "foo=1")).toContain(
      'create x1: invalid option: "foo"',
    );
    expect(await refused("volume", "create", "x1", "-o", "type=tmpfs")).toContain(
      'create x1: missing required option: "device"',
    );
    expect(await refused("volume", "create", "x1", "-o", "size=1m")).toContain(
      "create x1: quota size requested but no quota support",
    );
    expect(await refused("volume", "create", "x1", "-d", "nobody")).toContain(
      'create x1: error looking up volume plugin nobody: plugin "nobody" not found',
    );
    expect(await done("volume", "ls", "-q")).toBe("");
  });

  test("what cannot be mounted is told at the start, and nothing is left", async () => {
    await done("volume", "create", "x1", "-o", "type=none", "-o", "device=/nowhere", "-o", "o=bind");
    const path = join(engine.directory, "data/volumes/x1/_data");
    expect(await refused("run", "--name", "a1", "-v", "good:/g", "-v", "x1:/x", "busybox", "true")).toContain(
      `error while mounting volume '${path}': failed to mount local volume: mount /nowhere:${path}, flags: 0x1000: no such file or directory`,
    );
    await done("volume", "create", "y1", "-o", "type=nofs", "-o", "device=none");
    expect(await refused("run", "--rm", "-v", "y1:/y", "busybox", "true")).toContain(
      "failed to mount local volume",
    );
  });
});

describe("parts of volumes", () => {
  test("a directory, a file, through links within the volume, filled from the image when new", async () => {
    await inside("v1", "mkdir -p /v/a/b; echo f > /v/a/f; ln -s a /v/l");
    const mount = (path: string, at = "/x") => [
      "--mount",
      `type=volume,src=v1,dst=${at},volume-subpath=${path}`,
    ];
    expect(await done("run", "--rm", ...mount("l/f"), "busybox", "cat", "/x")).toBe("f");
    await done("run", "--rm", ...mount("a/b", "/etc"), "busybox", "true");
    expect(readdirSync(join(engine.directory, "data/volumes/v1/_data/a/b"))).toContain("passwd");
    await done("create", "--name", "c1", ...mount("a"), "busybox", "sh");
    expect(await done("cp", "c1:/x/f", "-")).toContain("f\n");
  });

  test("nothing outside the volume, however it is written", async () => {
    await inside("v1", "ln -s /etc /v/out; ln -s ../../.. /v/up");
    const run = async (path: string) =>
      await refused(
        "run",
        "--rm",
        "--mount",
        `type=volume,src=v1,dst=/x,volume-subpath=${path}`,
        "busybox",
        "ls",
        "/x",
      );
    const base = join(engine.directory, "data/volumes/v1/_data");
    expect(await run("../x")).toContain("subpath must be a relative path within the volume");
    expect(await run("gone")).toContain(`cannot access path ${base}/gone: lstat ${base}/gone: no such file`);
    for (const path of ["out", "up"])
      expect(await run(path)).toContain(
        `path concatenation escapes the base directory, base: ${base}, subpath: ${path}`,
      );
  });

  test("a container that exchanges the part with a link leads nobody out", async () => {
    const flip = "mkdir /v/p; while :; do mv /v/p /v/q; ln -s /etc /v/p; rm /v/p; mv /v/q /v/p; done";
    await done("run", "-d", "--name", "flipper", "-v", "v1:/v", "busybox", "sh", "-c", flip);
    const words = [
      "run",
      "--rm",
      "--mount",
      "type=volume,src=v1,dst=/x,volume-subpath=p",
      "busybox",
      "ls",
      "-A",
      "/x",
    ];
    for (let turn = 0; turn < 25; turn++) {
      const { stdout } = await docker(...words);
      expect(stdout).toBe("");
    }
  }, 60_000);
});

test("an image as a mount: its files, writable for this container alone; it is in use", async () => {
  const mount = ["--mount", "type=image,src=busybox,dst=/i"];
  await done(
    "create",
    "--name",
    "c1",
    ...mount,
    "busybox",
    "sh",
    "-c",
    "ls /i/bin/busybox; echo mine > /i/new; ls /i",
  );
  expect(await done("start", "-a", "c1")).toContain("/i/bin/busybox\n");
  expect(await done("start", "-a", "c1")).toContain("new");
  expect(await done("cp", "c1:/i/new", "-")).toContain("mine");
  expect(await done("run", "--rm", ...mount, "busybox", "ls", "/i")).not.toContain("new");
  await done("tag", "busybox", "other");
  expect(await refused("run", "--rm", "--mount", "type=image,src=none,dst=/i", "busybox", "true")).toContain(
    'invalid mount config for type "image": No such image: none:latest',
  );
  const part = ["--mount", "type=image,src=busybox,dst=/p,image-subpath=etc/passwd"];
  expect(await done("run", "--rm", ...part, "busybox", "cat", "/p")).toContain("root:");
  await done("rm", "c1");
  const writables = readdirSync(join(engine.directory, "data/layers/writable"));
  expect(writables.filter((name) => name.includes("."))).toEqual([]);
  await done("rmi", "other");
});

describe("owners", () => {
  test("whoever owns a host directory is the container's user in it, and keeps what is written", async () => {
    const host = join(engine.directory, "owned");
    mkdirSync(host);
    writeFileSync(join(host, "f"), "1");
    for (const path of [host, join(host, "f")]) chownSync(path, 1000, 1001);
    const script = "stat -c %u:%g /x/f; touch /x/root";
    expect(await done("run", "--rm", "-v", `${host}:/x:idmap`, "busybox", "sh", "-c", script)).toBe("0:0");
    const other = "stat -c %u:%g /x/f; touch /x/seven";
    const asSeven = ["--user", "7:8", "-v", `${host}:/x:idmap=auto`];
    expect(await done("run", "--rm", ...asSeven, "busybox", "sh", "-c", other)).toBe("7:8");
    for (const name of ["root", "seven"])
      expect(statSync(join(host, name))).toMatchObject({ uid: 1000, gid: 1001 });
    expect(mounted()).toEqual([]);
  });

  test("of a part of a volume, by ranges", async () => {
    await inside("v1", "mkdir /v/a; touch /v/a/f; chown 5:6 /v/a/f");
    const words = [
      "run",
      "--rm",
      "--mount",
      "type=volume,src=v1,dst=/x,volume-subpath=a,idmap=uids=5-50-1;gids=6-60-1",
    ];
    const { stdout, stderr } = await engine.cli("wherry", [
      ...words,
      "busybox",
      "busybox",
      "stat",
      "-c",
      "%u:%g",
      "/x/f",
    ]);
    expect(`${stderr}${stdout}`).toBe("50:60\n");
  });
});

test("read-only is so for what is mounted below, unless it is not to be", async () => {
  await done("volume", "create", "m1", "-o", "type=tmpfs", "-o", "device=tmpfs");
  await done("run", "-d", "--name", "holds", "-v", "m1:/m", "busybox", "sleep", "99");
  const source = join(engine.directory, "data/volumes/m1");
  const write = async (more: string) =>
    (
      await docker(
        "run",
        "--rm",
        "--mount",
        `type=bind,src=${source},dst=/x,ro${more}`,
        "busybox",
        "touch",
        "/x/_data/f",
      )
    ).code;
  expect(await write("")).not.toBe(0);
  expect(await write(",bind-recursive=writable")).toBe(0);
  expect(await write(",bind-recursive=readonly,bind-propagation=rprivate")).not.toBe(0);
  const plain = `type=bind,src=${source},dst=/x,bind-recursive=disabled`;
  await done("exec", "holds", "touch", "/m/seen");
  expect(await done("run", "--rm", "--mount", plain, "busybox", "ls", "/x/_data")).toBe("");
});

test("mounts are passed on where the source's mount is shared, and refused in dockerd's words where not", async () => {
  const source = join(engine.directory, "passed");
  mkdirSync(source);
  mountTmpfs(source, { sizeBytes: 1 << 20 });
  try {
    setPropagation(source, "private");
    const mount = (how: string) => ["-v", `${source}:/x:${how}`];
    const words = `path ${source} is mounted on ${source} but it is not a`;
    expect(await refused("run", "--rm", ...mount("rshared"), "busybox", "true")).toContain(
      `${words} shared mount`,
    );
    expect(await refused("run", "--rm", ...mount("rslave"), "busybox", "true")).toContain(
      `${words} shared or slave mount`,
    );
    setPropagation(source, "shared");
    const script = "mkdir /x/in && mount -t tmpfs none /x/in && touch /x/in/seen && sleep 99";
    await done(
      "run",
      "-d",
      "--name",
      "gives",
      "--privileged",
      ...mount("rshared"),
      "busybox",
      "sh",
      "-c",
      script,
    );
    await until(
      async () => (existsSync(join(source, "in/seen")) ? true : undefined),
      "what a container mounted, outside",
    );
    expect(await done("run", "--rm", ...mount("rslave"), "busybox", "ls", "/x/in")).toBe("seen");
    await done("rm", "-f", "gives");
  } finally {
    for (const { target } of mountsBeneath(source).toReversed()) unmount(target, { detach: true });
  }
}, 30_000);

test("what is mounted survives the engine's death with its container, and goes when the container died meanwhile", async () => {
  await done("volume", "create", "m1", "-o", "type=tmpfs", "-o", "device=tmpfs");
  const part = ["--mount", "type=volume,src=v1,dst=/x,volume-subpath=p"];
  await done("run", "--rm", "-v", "v1:/v", "busybox", "mkdir", "/v/p");
  await done("run", "-d", "--name", "lives", "-v", "m1:/m", ...part, "busybox", "sleep", "99");
  await done("run", "-d", "--name", "dies", ...part, "busybox", "sleep", "99");
  await done("exec", "lives", "touch", "/m/kept");
  const pid = Number(await done("inspect", "-f", "{{.State.Pid}}", "dies"));
  const before = mounted();
  expect(before.length).toBe(3);
  await engine.stop("SIGKILL");
  process.kill(pid, "SIGKILL");
  await engine.start();
  expect(await done("run", "--rm", "-v", "m1:/m", "busybox", "ls", "/m")).toBe("kept");
  expect(mounted().length).toBe(2);
  await done("rm", "-f", "lives");
  expect(mounted()).toEqual([]);
}, 30_000);

describe("plugins", () => {
  /** Keeps volumes as directories, and counts who has them. */
  function plugin(name: string, answer?: (method: string) => Response | Promise<Response> | undefined) {
    const root = join(engine.directory, `plugin-${name}`);
    const sockets = join(engine.directory, "exec/plugins");
    for (const path of [root, sockets]) mkdirSync(path, { recursive: true });
    const asked: string[] = [];
    const server = Bun.serve({
      unix: join(sockets, `${name}.sock`),
      fetch: async (request) => {
        const method = new URL(request.url).pathname.slice(1);
        const { Name, ID, Opts } = (await request.json()) as { Name?: string; ID?: string; Opts?: object };
        asked.push(
          [method, Name, ID?.slice(0, 4), Opts === undefined ? undefined : JSON.stringify(Opts)]
            .filter(Boolean)
            .join(" "),
        );
        const own = await answer?.(method);
        if (own !== undefined) return own;
        if (method === "Plugin.Activate") return Response.json({ Implements: ["VolumeDriver"] });
        if (method === "VolumeDriver.Capabilities")
          return Response.json({ Capabilities: { Scope: "global" } });
        const path = join(root, Name ?? "");
        if (method === "VolumeDriver.Create") mkdirSync(path, { recursive: true });
        if (method === "VolumeDriver.Remove") rmSync(path, { recursive: true, force: true });
        return Response.json(method === "VolumeDriver.Mount" ? { Mountpoint: path, Err: "" } : { Err: "" });
      },
    });
    const dispose = (): void => {
      void server.stop(true);
      rmSync(join(sockets, `${name}.sock`), { force: true });
    };
    return { root, asked, [Symbol.dispose]: dispose };
  }

  test("keep volumes: made with their options, mounted per container, removed", async () => {
    using keeper = plugin("keeper");
    await done("volume", "create", "-d", "keeper", "-o", "size=1", "p1");
    expect(await done("volume", "inspect", "-f", "{{.Driver}} {{.Options}}", "p1")).toBe(
      "keeper map[size:1]",
    );
    await done("run", "--rm", "-v", "p1:/p", "busybox", "sh", "-c", "echo kept > /p/f");
    expect(readFileSync(join(keeper.root, "p1/f"), "utf8")).toBe("kept\n");
    const id = await done(
      "create",
      "--name",
      "c1",
      "-v",
      "q1:/q",
      "--volume-driver",
      "keeper",
      "busybox",
      "true",
    );
    await done("start", "-a", "c1");
    const user = id.slice(0, 4);
    expect(keeper.asked.slice(-3)).toEqual([
      "VolumeDriver.Create q1 {}",
      `VolumeDriver.Mount q1 ${user}`,
      `VolumeDriver.Unmount q1 ${user}`,
    ]);
    expect(await refused("volume", "create", "-d", "local", "p1")).toContain("already exists");
    await done("rm", "c1");
    await done("volume", "rm", "p1", "q1");
    expect(readdirSync(keeper.root)).toEqual([]);
  });

  test("list what they keep, whoever made it", async () => {
    using _lists = plugin("lists", (method) =>
      method === "VolumeDriver.List" ? Response.json({ Volumes: [{ Name: "outside" }] }) : undefined,
    );
    expect(await done("volume", "ls", "--format", "{{.Driver}} {{.Name}}")).toBe("lists outside");
    using _failing = plugin("failing", (method) =>
      method === "VolumeDriver.List" ? Response.json({ Err: "no list today" }) : undefined,
    );
    const { Volumes, Warnings } = await (await engine.client()).volumes.list();
    expect(Volumes?.map(({ Name }) => Name)).toEqual(["outside"]);
    expect(Warnings).toEqual(["volumes of plugin failing are left out: VolumeDriver.List: no list today"]);
  });

  test("that fail or say nonsense are told by name, and leave nothing", async () => {
    using _failing = plugin("failing", (method) =>
      method === "VolumeDriver.Create" ? Response.json({ Err: "no room" }) : undefined,
    );
    expect(await refused("volume", "create", "-d", "failing", "p1")).toContain(
      "create p1: VolumeDriver.Create: no room",
    );
    using _nonsense = plugin("nonsense", () => new Response("<html>", { status: 200 }));
    expect(await refused("volume", "create", "-d", "nonsense", "p1")).toContain(
      "create p1: Plugin.Activate: <html>",
    );
    using _other = plugin("other", (method) =>
      method === "Plugin.Activate" ? Response.json({ Implements: ["NetworkDriver"] }) : undefined,
    );
    expect(await refused("volume", "create", "-d", "other", "p1")).toContain(
      'plugin "other" does not implement VolumeDriver',
    );
    expect(await done("volume", "ls", "-q")).toBe("");
  });
});
