/** The label that protects: nothing removes what has it but who lifts it first. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const wherry = async (...words: string[]) => await engine.cli("wherry", words);

async function done(...words: string[]): Promise<string> {
  const { stdout, stderr, code } = await wherry(...words);
  expect(`${stderr}${code}`).toBe("0");
  return stdout.trim();
}

async function refused(...words: string[]): Promise<void> {
  const { stderr, code } = await wherry(...words);
  expect(code).toBe(1);
  expect(stderr).toMatch(/its label wherry\.protect protects it, lift that with 'wherry \w+ unprotect \w+'/);
}

const label = ["--label", "wherry.protect=true"];

test("a volume stays, whatever is said; lifted, it goes", async () => {
  await done("volume", "create", ...label, "kept");
  await done("volume", "create", "other");
  await refused("volume", "rm", "kept");
  await refused("volume", "rm", "--force", "--now", "kept");
  expect(await done("volume", "prune", "--all", "--force")).toContain("Deleted Volumes:\nother");
  expect(await done("volume", "ls", "-q")).toBe("kept");
  await done("volume", "unprotect", "kept");
  expect(await done("volume", "inspect", "-f", "{{.Labels}}", "kept")).toBe("<nil>");
  await done("volume", "rm", "kept");
  // One that was made without it gets it; what a `false` says is no protection.
  await done("volume", "create", "--label", "wherry.protect=false", "late");
  await done("volume", "protect", "late");
  await engine.stop("SIGKILL");
  await engine.start();
  await refused("volume", "rm", "late");
  await done("volume", "unprotect", "late");
  await done("volume", "rm", "late");
}, 20_000);

test("a container stays, and with it what nobody named; --rm takes it along nonetheless", async () => {
  await done("run", "-d", "--name", "box", ...label, "busybox", "sleep", "99");
  await refused("rm", "--force", "box");
  await done("stop", "-t", "0", "box");
  expect(await done("container", "prune", "--force")).toBe("Total reclaimed space: 0B");
  await done("container", "unprotect", "box");
  await done("rm", "box");
  await done("run", "--rm", "--name", "box", ...label, "busybox", "true");
  expect(await done("ps", "-aq")).toBe("");
  const mount = "type=volume,dst=/d,volume-label=wherry.protect=true";
  await done("run", "--rm", "--mount", mount, "busybox", "touch", "/d/f");
  const volume = await done("volume", "ls", "-q");
  expect(volume).toMatch(/^[0-9a-f]{64}$/);
  await refused("volume", "rm", volume);
}, 20_000);

test("system prune leaves what is protected, and says first what it takes", async () => {
  await done("create", "--name", "box", ...label, "busybox", "true");
  await done("create", "--name", "other", "-v", "/d", "busybox", "true");
  await done("rm", "other");
  await done("network", "create", ...label, "netkept");
  await done("network", "create", "netother");
  const asked = await engine.cli("wherry", ["system", "prune", "--volumes"], { input: "n\n" });
  expect(asked.stdout).toContain("  - all anonymous volumes not used by at least one container\n");
  expect(asked.stdout).toMatch(/[0-9a-f]{64} +0B +.* ago\n1 in all, 0B\./);
  const pruned = await done("system", "prune", "--volumes", "--force");
  expect(pruned).toMatch(/^Deleted Networks:\nnetother\n\nDeleted Volumes:\n[0-9a-f]{64}\n/);
  expect(pruned).toContain("Volumes: They are in the trash");
  await done("network", "rm", "netkept");
  await done("container", "unprotect", "box");
  expect(await done("system", "prune", "--force")).toMatch(/^Deleted Containers:\n[0-9a-f]{64}\n\nTotal/);
  const until = await wherry("system", "prune", "--volumes", "--filter", "until=1h", "--force");
  expect(until.stderr).toContain('The "until" filter is not supported with "--volumes"');
}, 30_000);

test("networks and images are not pruned, and an image's label is in no build's way", async () => {
  await done("network", "create", ...label, "kept");
  await done("network", "create", "other");
  expect(await done("network", "prune", "--force")).toBe("Deleted Networks:\nother");
  await done("network", "rm", "kept");
  const context = join(engine.directory, "Dockerfile");
  writeFileSync(context, "FROM busybox\nLABEL wherry.protect=1\nRUN true\n");
  await engine.cli("wherry", ["build", "-t", "kept", "-f", context, engine.directory]);
  expect(await done("image", "prune", "--all", "--force")).not.toContain("kept");
  expect(await done("images", "-q", "kept")).not.toBe("");
  await done("rmi", "kept");
  expect(await done("ps", "-aq")).toBe("");
}, 30_000);
