/** What the engine says when it cannot do its work: before it starts, and on a full disk. One sentence, the way out. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountTmpfs } from "#kernel/mounts/mount.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

const program = join(import.meta.dir, "../../src/bin/wherryd.ts");
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-refusals-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs an engine that must not come up. `around` is put before its command line. */
async function refused(o: {
  readonly around?: readonly string[];
  readonly host?: string;
  readonly path?: string;
  readonly data?: string;
}): Promise<{ code: number | null; said: string }> {
  const roots = ["--data-root", o.data ?? join(directory, "data"), "--exec-root", join(directory, "exec")];
  const line = [process.execPath, program, ...roots, "--host", o.host ?? `unix://${directory}/sock`];
  const [first = "", ...rest] = [...(o.around ?? []), ...line];
  const child = spawn(first, rest, {
    env: { ...process.env, ...(o.path !== undefined && { PATH: o.path }) },
  });
  let said = "";
  child.stderr.on("data", (part: Buffer) => {
    said += part.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, said };
}

/** A PATH with these programs and no others. */
function only(...programs: string[]): string {
  const path = mkdtempSync(join(directory, "path-"));
  for (const name of programs) symlinkSync(Bun.which(name) ?? "", join(path, name));
  return path;
}

describe("an engine does not start, and says why", () => {
  test("without root", async () => {
    // Nobody, who may read everything, wherever the checkout is.
    const caps = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
    const around = ["setpriv", "--reuid=65534", "--clear-groups", ...caps, "--"];
    expect(await refused({ around })).toEqual({
      code: 1,
      said: "wherryd: wherryd needs to run as root: start it with sudo\n",
    });
  });

  test("without crun and runc", async () => {
    const { code, said } = await refused({ path: only("conmon", "busybox") });
    expect(code).toBe(1);
    expect(said).toContain("crun is not there");
    expect(said).toContain("install Debian's crun or runc");
  });

  test("without conmon", async () => {
    expect(await refused({ path: only("crun", "busybox", "nsenter") })).toEqual({
      code: 1,
      said: "wherryd: conmon does not work here: install Debian's conmon\n",
    });
  });

  test("on a socket path where something else is", async () => {
    writeFileSync(join(directory, "file"), "");
    const { code, said } = await refused({ host: `unix://${directory}/file` });
    expect(code).toBe(1);
    expect(said).toContain("a file that is no socket is there; move it away");
  });

  test("on another engine's socket, or its data", async () => {
    await using engine = await EngineUnderTest.start();
    const other = await refused({ host: engine.host });
    expect(other.code).toBe(1);
    expect(other.said).toContain("an engine is already serving it; stop that one or choose another --host");
    const again = await refused({ data: join(engine.directory, "data") });
    expect(again.code).toBe(1);
    expect(again.said).toMatch(/data.*in use by/);
  });
});

describe("on a full disk", () => {
  let engine: EngineUnderTest;
  beforeAll(async () => {
    engine = await EngineUnderTest.start();
    await engine.stop();
    rmSync(join(engine.directory, "data"), { recursive: true });
    mkdirSync(join(engine.directory, "data"));
    mountTmpfs(join(engine.directory, "data"), { sizeBytes: 24 << 20 });
    await engine.start();
    await engine.importBusybox();
  });
  afterAll(async () => await engine[Symbol.asyncDispose]());

  const incoming = (): string[] => readdirSync(join(engine.directory, "data/layers/incoming"));

  test("a build fails with the way out, and leaves nothing half-made", async () => {
    const context = mkdtempSync(join(directory, "context-"));
    // For another owner a layer cannot have the context's own file.
    writeFileSync(join(context, "Dockerfile"), "FROM busybox\nCOPY --chown=1:1 big /big\n");
    writeFileSync(join(context, "big"), Buffer.alloc(12 << 20, 1));
    const { code, stderr, stdout } = await engine.cli("wherry", ["build", "-t", "big", context]);
    expect(code).toBe(1);
    expect(stderr + stdout).toMatch(
      /no space left on device: the disk that holds .* remove what is not needed/,
    );
    expect((await engine.cli("wherry", ["images", "-q", "big"])).stdout).toBe("");
    expect(incoming()).toEqual([]);
  });

  test("a container that fills it fails by itself; the engine goes on, and space comes back with its removal", async () => {
    const fill = ["run", "--name", "fill", "busybox", "sh", "-c", "cat /dev/zero > /zero"];
    // What it says about it is lost with its log, which is on the same disk; that is told.
    const told = "the disk that holds this container's log is full, its last output may be missing";
    const filled = await engine.cli("wherry", fill);
    expect(filled.code).toBe(1);
    expect(filled.stderr).toContain(told);
    const more = await engine.cli("wherry", ["run", "--rm", "busybox", "true"]);
    expect(more.code).toBe(125);
    expect(more.stderr).toMatch(/no space left on device: the disk that holds .* remove what is not needed/);
    expect((await engine.cli("wherry", ["rm", "-f", "fill"])).code).toBe(0);
    expect(await engine.cli("wherry", ["run", "--rm", "busybox", "echo", "again"])).toEqual({
      ...{ code: 0, stdout: "again\n", stderr: "" },
    });
    expect(await engine.leaks()).toEqual([]);
  });
});
