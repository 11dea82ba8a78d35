/** Images made of containers, and of an image's layers put into one. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
import type { CreateBody } from "#client/containers.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  client = await engine.client();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => await engine.removeContainers());

async function start(more: Partial<CreateBody> = {}): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sleep", "600"], ...more, HostConfig: {} };
  const { Id } = await client.containers.create(body, {
    name: `c${Math.random().toString(36).slice(2, 10)}`,
  });
  await client.containers.start(Id);
  return Id;
}

async function run(id: string, script: string): Promise<void> {
  const { stderr, code } = await engine.cli("wherry", ["exec", id, "busybox", "sh", "-ec", script]);
  expect(`${stderr}${code}`).toBe("0");
}

/** What a container of the image prints. */
async function printed(image: string, script: string): Promise<string> {
  const args = ["run", "--rm", "--entrypoint", "busybox", image, "sh", "-c", script];
  return (await engine.cli("wherry", args)).stdout;
}

const programs = [
  ["wherry", false],
  // Debian has no docker CLI of this age; where none is installed, wherry's own goes the same way.
  ["docker", dockerCli === null],
] as const;

for (const [program, absent] of programs)
  describe.skipIf(absent)(`${program} commit`, () => {
    test("keeps files and config, with changes on top", async () => {
      const id = await start({
        Env: ["A=1"],
        Labels: { x: "y" },
        WorkingDir: "/tmp",
        ExposedPorts: { "80/tcp": {} },
      });
      await run(id, "echo made > /made; rm /etc/group; mkdir /www/in");
      const changes = ['CMD ["cat", "/made"]', "ENV B=2", "EXPOSE 90", "LABEL q=r", "USER 33"].flatMap(
        (each) => ["-c", each],
      );
      const args = [
        "commit",
        "-m",
        "the message",
        "-a",
        "me <me@example>",
        ...changes,
        id,
        `made:${program}`,
      ];
      const { stdout, stderr } = await engine.cli(program, args);
      expect(stderr).toBe("");
      const image = await client.images.inspect(`made:${program}`);
      const base = await client.images.inspect("busybox");
      expect(stdout).toBe(`${image.Id}\n`);
      expect(image).toMatchObject({ Parent: base.Id, Comment: "the message", Author: "me <me@example>" });
      expect(image.Config).toMatchObject({
        Env: ["A=1", "B=2"],
        Cmd: ["cat", "/made"],
        ExposedPorts: { "80/tcp": {}, "90/tcp": {} },
        Labels: { x: "y", q: "r" },
        WorkingDir: "/tmp",
        User: "33",
        Volumes: null,
      });
      expect(image.RootFS.Layers).toEqual([...(base.RootFS.Layers ?? []), expect.stringMatching(/^sha256:/)]);
      const [newest, ...older] = await client.images.history(`made:${program}`);
      expect(newest).toMatchObject({ Id: image.Id, CreatedBy: "sleep 600", Comment: "the message" });
      expect(older).toEqual((await client.images.history("busybox")).map((line) => ({ ...line })));
      expect(await printed(`made:${program}`, "cat /made; ls /etc/group /www; id -u")).toBe(
        "made\n/www:\nin\n33\n",
      );
      expect((await client.containers.inspect(id)).State.Status).toBe("running");
    });

    test("says what is wrong, as docker does", async () => {
      const id = await start();
      const daemon = "Error response from daemon: ";
      for (const [args, expected] of [
        [["-c", "RUN x", id], `${daemon}RUN is not a valid change command`],
        [["-c", "FOO x", id], `${daemon}FOO is not a valid change command`],
        [["nobody"], `${daemon}No such container: nobody`],
        [[id, "BAD NAME"], "invalid reference format: repository name (library/BAD NAME) must be lowercase"],
      ] as const) {
        const { code, stderr } = await engine.cli(program, ["commit", ...args]);
        expect([code, stderr.trim()]).toEqual([1, expected]);
      }
      expect((await client.containers.inspect(id)).State.Status).toBe("running");
    });
  });

test("what changed nothing makes no layer, and needs no name", async () => {
  const { Id } = await client.containers.create({ Image: "busybox", Cmd: ["true"], HostConfig: {} });
  const image = await client.images.inspect(await client.archives.commit(Id));
  expect(image.RootFS.Layers).toEqual((await client.images.inspect("busybox")).RootFS.Layers ?? []);
  expect(image.RepoTags).toEqual([]);
  const [newest] = await client.images.history(image.Id);
  expect(newest).toMatchObject({ CreatedBy: "true", Size: 0 });
});

test("a container is paused meanwhile, unless that is not wanted or it is already", async () => {
  const id = await start();
  await run(id, "echo x > /x");
  const sinceSeconds = Date.now() / 1000 - 1;
  await client.archives.commit(id, { comment: "paused" });
  await client.archives.commit(id, { pause: false });
  await client.containers.pause(id);
  await client.archives.commit(id);
  expect((await client.containers.inspect(id)).State.Status).toBe("paused");
  const until = String(Date.now() / 1000 + 1);
  const seen: string[] = [];
  for await (const { Action } of client.events({
    since: String(sinceSeconds),
    until,
    filters: { container: [id] },
  }))
    if (Action !== undefined && ["pause", "unpause", "commit"].includes(Action)) seen.push(Action);
  expect(seen).toEqual(["pause", "unpause", "commit", "commit", "pause", "commit"]);
});

test("an engine that dies while a container is paused for a commit lets it go on when it comes back", async () => {
  const id = await start();
  await run(id, "busybox dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null");
  for (const delayMs of [5, 30, 80]) {
    const committing = client.archives.commit(id).catch(() => undefined);
    await Bun.sleep(delayMs);
    await engine.stop("SIGKILL");
    await committing;
    await engine.start();
    expect((await client.containers.inspect(id)).State.Status).toBe("running");
    await run(id, "true");
  }
  await client.containers.remove(id, { force: true });
  expect(await engine.leaks()).toEqual([]);
});

test("squash puts all layers into one that looks the same", async () => {
  const id = await start({ Labels: { kept: "yes" } });
  await run(
    id,
    "mkdir -m 1755 /dir; echo one > /dir/one; echo two > /two; busybox chown 5:6 /two; busybox ln /two /second; rm /bin/tty; rm -r /www; mkdir /www; chmod 711 /",
  );
  await client.archives.commit(id, { repo: "layered", tag: "1" });
  const { stdout, stderr } = await engine.cli("wherry", ["image", "squash", "layered:1", "-t", "flat"]);
  expect(stderr).toBe("");
  const [flat, layered] = [await client.images.inspect("flat"), await client.images.inspect("layered:1")];
  expect(stdout).toBe(`${flat.Id}\n`);
  expect(flat.RootFS.Layers).toHaveLength(1);
  expect(layered.RootFS.Layers).toHaveLength(2);
  expect(flat.Config).toEqual(layered.Config);
  const look =
    "cd /; busybox find bin dir two second www etc/passwd . -maxdepth 1 -prune -exec busybox stat -c '%n %f %u:%g %s' {} +; busybox stat -c %h two";
  expect(await printed("flat", look)).toBe(await printed("layered:1", look));
  const history = await client.images.history("flat");
  expect(history.slice(1).every(({ Size }) => Size === 0)).toBe(true);
  expect(history[0]).toMatchObject({ Id: flat.Id, Size: flat.Size });
  // The same again is the same layer; one layer alone is no work.
  await engine.cli("wherry", ["image", "squash", "layered:1", "-t", "again"]);
  expect((await client.images.inspect("again")).RootFS).toEqual(flat.RootFS);
  expect((await engine.cli("wherry", ["image", "squash", "flat"])).stdout).toBe(`${flat.Id}\n`);
  expect(await engine.cli("wherry", ["image", "squash", "nothing"])).toMatchObject({
    code: 1,
    stderr: "Error response from daemon: No such image: nothing:latest\n",
  });
});
