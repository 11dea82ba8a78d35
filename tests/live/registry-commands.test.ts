/** `wherry registry gc, ls, tags, rm, user`: against a server with users, and on what it stored. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServedRegistry } from "./served-registry.ts";

const program = join(import.meta.dir, "../../src/bin/wherry.ts");
const directory = mkdtempSync(join(tmpdir(), "wherry-registry-commands-"));
const root = join(directory, "store");
let open: ServedRegistry;

async function wherry(args: readonly string[], input = "") {
  const child = Bun.spawn([process.execPath, program, ...args], {
    ...{ stdin: new Blob([input]), stdout: "pipe", stderr: "pipe" },
    env: { ...process.env, DOCKER_CONFIG: join(directory, "config") },
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

beforeAll(async () => {
  open = await ServedRegistry.start(["--root", root]);
});
afterAll(async () => {
  await open[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

test("repositories and tags are listed and removed; what nobody needs is told, then taken", async () => {
  const digest = await open.putImage("team/a", "one", ["layer"]);
  await open.putImage("team/a", "two", ["layer"]);
  await open.putImage("b", "x", ["another layer"]);
  expect((await wherry(["registry", "ls", open.host])).stdout).toBe("b\nteam/a\n");
  expect((await wherry(["registry", "tags", `${open.host}/team/a`])).stdout).toBe("one\ntwo\n");
  const removed = await wherry(["registry", "rm", `${open.host}/team/a:one`, `${open.host}/b:x`]);
  expect(removed).toMatchObject({ code: 0, stderr: "" });
  expect((await wherry(["registry", "tags", `${open.host}/team/a`])).stdout).toBe("two\n");
  const gone = await wherry(["registry", "rm", `${open.host}/team/a:one`]);
  expect([gone.code, gone.stderr.includes("has no manifest one")]).toEqual([1, true]);
  expect((await wherry(["registry", "rm", `${open.host}/team/a@${digest}`])).code).toBe(0);
  const gc = ["registry", "gc", "--root", root, "--grace-seconds", "0"];
  const dry = await wherry([...gc, "--dry-run"]);
  expect(dry.stdout).toContain("would go");
  expect(dry.stdout).toContain(digest);
  // The manifest of b:x has no tag any more, but is one.
  expect(dry.stdout).toStartWith("sha256:");
  expect((await wherry(gc)).stdout).toMatch(/^2 blobs of \d+B and 0 uploads are gone\n$/);
  expect((await wherry([...gc, "--dry-run"])).stdout).toBe("0 blobs of 0B and 0 uploads would go\n");
}, 30_000);

test("users are added, listed and removed while a server reads them", async () => {
  const users = join(directory, "users");
  expect((await wherry(["registry", "user", "add", users, "ann"], "secret\n")).stdout).toBe("Added: ann\n");
  await using closed = await ServedRegistry.start(["--root", root, "--htpasswd", users]);
  const as = async (name: string) =>
    (await fetch(`${closed.url}/v2/`, { headers: { Authorization: `Basic ${btoa(`${name}:secret`)}` } }))
      .status;
  expect([await as("ann"), await as("bob")]).toEqual([200, 401]);
  await wherry(["registry", "user", "add", users, "bob"], "secret");
  expect(await as("bob")).toBe(200);
  expect((await wherry(["registry", "user", "ls", users])).stdout).toBe("ann\nbob\n");
  await wherry(["registry", "user", "rm", users, "ann"]);
  expect(await as("ann")).toBe(401);
  expect((await wherry(["registry", "user", "rm", users, "ann"])).stderr).toContain("has no user ann");
  expect((await wherry(["registry", "ls", closed.host])).stderr).toContain("no basic auth credentials");
}, 30_000);

test("what is no command, or not enough of one, is said", async () => {
  for (const [args, message] of [
    [["frobnicate"], "unknown command: wherry registry frobnicate"],
    [["tags"], "got 0 arguments"],
    [["tags", "busybox"], "names no registry"],
    [["rm", `${open.host}/x`], "names a whole repository"],
    [["gc"], "--root DIR"],
  ] as const) {
    const { code, stderr } = await wherry(["registry", ...args]);
    expect([code, stderr.includes(message)]).toEqual([1, true]);
  }
  expect((await wherry(["registry", "--help"])).stdout).toContain("Commands:\n  serve ");
}, 30_000);
