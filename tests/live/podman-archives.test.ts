/**
 * Archives to podman and from it: the same id and the same layers after a round trip, in each form that it writes.
 * podman only keeps images here, beneath the test's directory: it runs nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineUnderTest } from "./engine-under-test.ts";

const program = Bun.which("podman");
interface Seen {
  readonly id: string;
  readonly layers: readonly string[];
}
const tags = ["1", "2"] as const;
/** With a registry's name: podman calls what has none, and comes with another, `localhost/app`. */
const names = tags.map((tag) => `example.org/app:${tag}`);

let engine: EngineUnderTest;
let made: readonly Seen[];
const file = (name: string) => join(engine.directory, name);

async function ok(command: string, args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await engine.cli(command, args, { env });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${code}: ${stdout}${stderr}`);
  return stdout;
}
const wherry = async (...args: string[]) => await ok("wherry", args);

/** In a mount namespace of its own: whatever it mounts, the machine does not see. */
async function podman(...args: string[]): Promise<string> {
  const roots = ["--root", "--runroot", "--tmpdir"].flatMap((flag) => [flag, file(`podman${flag}`)]);
  const words = ["--mount", "podman", ...roots, "--storage-driver", "vfs", ...args];
  return await ok("unshare", words, { CONTAINERS_CONF: file("containers.conf") });
}

async function here(of: readonly string[]): Promise<Seen[]> {
  const { images } = await engine.client();
  const seen = of.map(async (name) => await images.inspect(name));
  return (await Promise.all(seen)).map(({ Id, RootFS }) => ({ id: Id, layers: RootFS.Layers ?? [] }));
}

async function inPodman(of: readonly string[]): Promise<Seen[]> {
  const found = JSON.parse(await podman("image", "inspect", ...of));
  return found.map(({ Id, RootFS }: { Id: string; RootFS: { Layers: string[] } }) => ({
    id: `sha256:${Id}`,
    layers: RootFS.Layers,
  }));
}

async function removeAll(): Promise<void> {
  const { images } = await engine.client();
  for (const { Id } of await images.list({})) await images.remove(Id, { force: true });
  await podman("rmi", "--all", "--force");
}

beforeAll(async () => {
  if (program === null) return;
  engine = await EngineUnderTest.start();
  const settings = ["lock_type", "cgroup_manager", "events_logger"].map(
    (key, at) => `${key}=${JSON.stringify(["file", "cgroupfs", "none"][at])}`,
  );
  writeFileSync(file("containers.conf"), ["[engine]", ...settings, ""].join("\n"));
  await engine.importBusybox();
  mkdirSync(file("context"));
  for (const [at, tag] of tags.entries()) {
    const text = `FROM busybox\nRUN echo ${tag} > /which && ln /which /same\nENV TAG=${tag}\nCOPY Dockerfile /\n`;
    writeFileSync(file("context/Dockerfile"), text);
    await wherry("build", "-q", "-t", names[at]!, file("context"));
  }
  made = await here(names);
}, 60_000);
afterAll(async () => await engine?.[Symbol.asyncDispose]());

// Debian's package; `scripts/setup --tests` installs it.
describe.skipIf(program === null)("from here to podman and back", () => {
  beforeAll(async () => {
    await wherry("save", "-o", file("both.tar"), ...names);
    await wherry("save", "-o", file("one.tar"), names[0]!);
  });

  test("two images: what is saved here loads there, and its docker-archive of both here", async () => {
    await podman("load", "-q", "-i", file("both.tar"));
    expect(await inPodman(names)).toEqual([...made]);
    const path = file("back.tar");
    await podman("save", "-q", "--multi-image-archive", "-o", path, ...names);
    await removeAll();
    expect(await wherry("load", "-i", path)).toBe(names.map((name) => `Loaded image: ${name}\n`).join(""));
    expect(await here(names)).toEqual([...made]);
    expect(await wherry("run", "--rm", "--network", "none", names[1]!, "cat", "/same")).toBe("2\n");
  }, 60_000);

  test("one image, which podman takes for a layout: in every form it saves one in", async () => {
    await podman("rmi", "--all", "--force");
    await podman("load", "-q", "-i", file("one.tar"));
    const only = [names[0]!];
    expect(await inPodman(only)).toEqual([made[0]!]);
    for (const form of ["docker-archive", "oci-archive", "oci-dir"]) {
      const [saved, path] = [file(form), file(`${form}.tar`)];
      await podman("save", "-q", "--format", form, "-o", form === "oci-dir" ? saved : path, names[0]!);
      if (form === "oci-dir") await ok("tar", ["-C", saved, "-cf", path, "."]);
      await (await engine.client()).images.remove(names[0]!, { force: true });
      await wherry("load", "-i", path);
      expect([form, ...(await here(only))]).toEqual([form, made[0]!]);
    }
  }, 60_000);
});
