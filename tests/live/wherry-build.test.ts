/** `wherry build` and what belongs to it: the same builds, the same words, without docker's programs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

function context(name: string, files: Readonly<Record<string, string>>): string {
  const directory = join(engine.directory, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

async function ok(args: readonly string[], input = ""): Promise<CliResult> {
  const result = await engine.cli("wherry", args, { input });
  if (result.code !== 0)
    throw new Error(`${args.join(" ")}: ${result.code}\n${result.stdout}${result.stderr}`);
  return result;
}

test("builds with live progress, and tells what was cached", async () => {
  const directory = context("plain", {
    Dockerfile: "FROM busybox\nARG WORD\nCOPY a sub /\nRUN echo out-$((40+2)) $WORD\nCMD cat /a /b\n",
    ".dockerignore": "sub/no*\n",
    a: "A\n",
    "sub/b": "B\n",
    "sub/not": "",
  });
  const metadata = join(engine.directory, "metadata.json");
  const args = ["build", "-t", "plain", "--build-arg", "WORD=word", "--metadata-file", metadata, directory];
  const { stderr } = await ok(args);
  expect(stderr).toMatch(/#\d+ \[\d\/\d\] RUN echo out[^\n]*\n(?:#\d+ [^\n]*\n)*#\d+ [0-9.]+ out-42 word\n/);
  expect(stderr).toMatch(/#\d+ transferring dockerfile: \d+B [0-9.]*s? ?done\n/);
  expect(stderr).toMatch(/load build context\n#\d+ transferring context: \d+B/);
  expect(stderr).toMatch(/#\d+ naming to docker.io\/library\/plain:latest done\n/);
  expect(
    (
      await ok(["run", "--rm", "plain", "sh", "-c", "cat /a /b; ls /not 2>&1"]).catch((e: Error) => e)
    ).toString(),
  ).toContain("A\nB\n");
  expect(JSON.parse(readFileSync(metadata, "utf8"))["image.name"]).toBe("docker.io/library/plain:latest");
  expect((await ok(args)).stderr).toMatch(/RUN echo out[^\n]*\n#\d+ CACHED/);
  const raw = (await ok(["build", "--progress", "rawjson", directory])).stderr.trim().split("\n");
  expect(
    raw.flatMap((line) => JSON.parse(line).vertexes ?? []).some(({ name }) => /exporting/.test(name)),
  ).toBe(true);
});

test("shows the place of a mistake, and of a step that fails", async () => {
  const directory = context("fails", { Dockerfile: "FROM busybox\nRUN true\nRUN exit 7\n" });
  const { code, stderr } = await engine.cli("wherry", ["build", directory]);
  expect(code).toBe(1);
  expect(stderr).toContain(
    "Dockerfile:3\n--------------------\n   1 |     FROM busybox\n   2 |     RUN true\n   3 | >>> RUN exit 7\n",
  );
  expect(stderr).toContain("exit code: 7");
  const { stdout } = await engine.cli("wherry", ["build", "--check", directory]);
  expect(stdout).toBe("");
});

test("points at the word that is to blame", async () => {
  const directory = context("blamed", {
    Dockerfile: "FROM busybox AS base\nCOPY --frm=base a /\n",
    Checked: "from busybox\nRUN echo\nWORKDIR $nowhere\nCMD x\n",
    Missing: "FROM busybox\nCOPY pakage.json /\n",
    "package.json": "",
  });
  const { code, stderr } = await engine.cli("wherry", ["build", directory]);
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining("Dockerfile:2:6\n--------------------\n   1 |     FROM busybox AS base\n"),
  ]);
  expect(stderr).toContain("   2 | >>> COPY --frm=base a /\n     |          ^^^^^\n");
  expect(stderr).toContain("(did you mean from?)");
  const check = await engine.cli("wherry", ["build", "--check", "-f", join(directory, "Checked"), directory]);
  expect(check.code).toBe(1);
  expect(check.stdout).toContain(
    "WARNING: UndefinedVar - https://docs.docker.com/go/dockerfile/rule/undefined-var/\nUsage of undefined variable '$nowhere'\nChecked:3:9\n",
  );
  const asJson = [
    "build",
    "--call",
    "check,format=json,ignorestatus",
    "-f",
    join(directory, "Checked"),
    directory,
  ];
  const { warnings } = JSON.parse((await ok(asJson)).stdout) as { warnings: { ruleName: string }[] };
  expect(warnings.map(({ ruleName }) => ruleName)).toContain("UndefinedVar");
  const odd = await engine.cli("wherry", ["build", "--call", "check,format=xml", directory]);
  expect([odd.code, odd.stderr]).toEqual([1, expect.stringContaining("want format=json or ignorestatus")]);
  expect(check.stdout).toContain("   3 | >>> WORKDIR $nowhere\n     |             ^^^^^^^^\n");
  for (const rule of ["JSONArgsRecommended", "ConsistentInstructionCasing"])
    expect(check.stdout).toContain(`WARNING: ${rule} - `);
  const missing = await engine.cli("wherry", ["build", "-f", join(directory, "Missing"), directory]);
  expect(missing.stderr).toContain("Missing:2:6\n");
  expect(missing.stderr).toContain('"/pakage.json": not found (did you mean package.json?)');
});

test("takes secrets, stdin, named contexts; brings files out", async () => {
  const other = context("other", { named: "N\n" });
  const token = join(engine.directory, "token");
  writeFileSync(token, "shush");
  const directory = context("out", { x: "" });
  const text =
    "FROM busybox AS b\nRUN --mount=type=secret,id=t mkdir -p /o/d && tr a-z A-Z </run/secrets/t >/o/d/s\nFROM scratch\nCOPY --from=b /o /\nCOPY --from=other named /\n";
  const place = join(engine.directory, "place");
  const flags = ["--secret", `id=t,src=${token}`, "--build-context", `other=${other}`, "-o", place];
  await ok(["build", ...flags, "-f", "-", directory], text);
  expect([readFileSync(join(place, "d/s"), "utf8"), readFileSync(join(place, "named"), "utf8")]).toEqual([
    "SHUSH",
    "N\n",
  ]);
  await ok(["build", "-q", "-t", "alone", "-"], "FROM busybox\nLABEL a=b\n");
});

test("says when there is no room for what comes out, and ends", async () => {
  const directory = context("large", { Dockerfile: "FROM scratch\nCOPY big small /d/\n", small: "s" });
  writeFileSync(join(directory, "big"), Buffer.alloc(300_000));
  const place = join(engine.directory, "narrow");
  mkdirSync(place);
  await Bun.$`mount -t tmpfs -o size=64k none ${place}`;
  for (const output of ["type=tar,dest=/dev/full", place, `type=tar,dest=${place}`]) {
    const { code, stderr } = await engine.cli("wherry", ["build", "-o", output, directory]);
    expect([output, code]).toEqual([output, 1]);
    expect(stderr).toMatch(/ERROR: [\s\S]*(?:ENOSPC|no space left|EISDIR)/);
  }
});

test("leaves when it is told to, and so does the step", async () => {
  const directory = context("endless", { Dockerfile: "FROM busybox\nRUN echo begun; sleep 1000\n" });
  const child = engine.spawn("wherry", ["build", directory]);
  let told = "";
  for await (const part of child.stderr as AsyncIterable<Buffer>) {
    told += part.toString();
    if (/#\d+ [0-9.]+ begun/.test(told)) break;
  }
  const ended = once(child, "exit");
  child.kill("SIGINT");
  await ended;
  expect(await engine.leaks()).toEqual([]);
});

test("what builds keep is shown and removed", async () => {
  expect((await ok(["builder", "du"])).stdout).toMatch(/source.local[\s\S]*Total:/);
  expect((await ok(["builder", "prune", "-af"])).stdout).toMatch(/Total reclaimed space: /);
  expect((await ok(["builder", "du"])).stdout).not.toContain("source.local");
});
