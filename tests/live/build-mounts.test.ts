/** What a RUN sees beside its files: agents, secrets, caches, scripts; and what it must not reach by them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CliResult, dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

let contexts = 0;
function context(dockerfile: string, files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const directory = join(engine.directory, `context-${++contexts}`);
  for (const [path, content] of Object.entries({ Dockerfile: dockerfile, ...files })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content, { mode: 0o755 });
  }
  return directory;
}

async function build(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return await engine.cli("wherry", ["build", ...args], { env });
}

async function ok(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  const built = await build(args, env);
  if (built.code !== 0) throw new Error(built.stderr);
  return built;
}

const sshAdd = Bun.which("ssh-add");
const sshAgent = Bun.which("ssh-agent");

/** A program of this machine with what it is linked with. */
async function withLibraries(program: string): Promise<Record<string, Uint8Array>> {
  const listed = await Bun.$`ldd ${program}`.text();
  const paths = [program, ...[...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? "")];
  return Object.fromEntries(paths.map((path) => [`root${path}`, readFileSync(path)]));
}

test.skipIf(sshAdd === null || sshAgent === null)(
  "a real ssh agent answers in a step, and only there",
  async () => {
    const socket = join(engine.directory, "agent");
    const key = join(engine.directory, "key");
    const agent: ChildProcess = spawn(sshAgent ?? "", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      await Bun.$`ssh-keygen -q -t ed25519 -N "" -C wherry-test-key -f ${key}`.quiet();
      await until(async () => (existsSync(socket) ? true : undefined), "the agent");
      await Bun.$`SSH_AUTH_SOCK=${socket} ssh-add -q ${key}`.quiet();
      const files = await withLibraries(sshAdd ?? "");
      const directory = context(
        [
          "FROM busybox",
          "COPY root /",
          "RUN --mount=type=ssh ssh-add -l",
          "RUN --mount=type=ssh,id=other,target=/tmp/a,uid=7,mode=0660 test $SSH_AUTH_SOCK = /tmp/a && ls -n /tmp/a && ssh-add -L",
          'RUN test -z "$SSH_AUTH_SOCK" && ! ls /run/buildkit 2>/dev/null',
        ].join("\n"),
        files,
      );
      const { stderr } = await ok(["--ssh", "default", "--ssh", `other=${socket}`, directory], {
        SSH_AUTH_SOCK: socket,
      });
      expect(stderr).toMatch(/256 SHA256:\S+ wherry-test-key \(ED25519\)/);
      expect(stderr).toMatch(/srw-rw---- +\S+ +7 +0 /);
      expect(stderr).toContain(readFileSync(`${key}.pub`, "utf8").trim());
      const missing = await build([context("FROM busybox\nRUN --mount=type=ssh,required=true true\n")]);
      expect([missing.code, missing.stderr]).toEqual([
        1,
        expect.stringContaining('no SSH key "default" forwarded'),
      ]);
    } finally {
      const ended = once(agent, "exit");
      agent.kill();
      await ended;
    }
  },
  60_000,
);

test("secrets: as a file with its owner and mode, as a variable, from a variable", async () => {
  const directory = context(
    [
      "FROM busybox",
      "RUN --mount=type=secret,id=a,target=/s/a,uid=33,gid=44,mode=0440 ls -ln /s/a && cat /s/a",
      "RUN --mount=type=secret,id=a,env=WORD echo word is $WORD && ! ls /run/secrets/a 2>/dev/null",
      "RUN --mount=type=secret,id=none test ! -e /run/secrets/none",
      "RUN ! env | grep WORD && ! ls /s/a 2>/dev/null",
    ].join("\n"),
  );
  const { stderr } = await ok(["--secret", "id=a,env=SECRET", directory], { SECRET: "hush" });
  expect(stderr).toMatch(/-r--r----- +1 33 +44 +4 /);
  expect(stderr).toContain("word is hush");
});

test("caches keep what steps put there, for who may write, one at a time where that is asked", async () => {
  const cache = "--mount=type=cache,id=kept,target=/c,uid=33,gid=44,mode=0700";
  const write = context(
    `FROM busybox\nRUN ${cache} ls -lnd /c && echo kept >/c/file\nRUN test ! -e /c/file\n`,
  );
  expect((await ok([write])).stderr).toMatch(/drwx------ +\d+ 33 +44 /);
  const read = context(`FROM busybox\nRUN ${cache} cat /c/file\nRUN ${cache},ro ! touch /c/x\n`);
  expect((await ok(["--no-cache", read])).stderr).toContain(" kept\n");
  // Two stages at once, each counts what it finds.
  const count = "n=$(cat /l/n 2>/dev/null || echo 0); sleep 0.3; echo $((n + 1)) >/l/n";
  const locked = context(
    [
      "FROM busybox AS a",
      `RUN --mount=type=cache,target=/l,sharing=locked : a; ${count}`,
      "FROM busybox AS b",
      `RUN --mount=type=cache,target=/l,sharing=locked : b; ${count}`,
      "FROM busybox",
      "COPY --from=a /bin/sh /a",
      "COPY --from=b /bin/sh /b",
      "RUN --mount=type=cache,target=/l,sharing=locked echo counted $(cat /l/n)",
    ].join("\n"),
  );
  expect((await ok([locked])).stderr).toContain("counted 2\n");
  const seeded = context(
    [
      "FROM busybox AS base",
      "RUN mkdir -p /d/e && echo seed >/d/e/f",
      "FROM busybox",
      "RUN --mount=type=cache,target=/s,from=base,source=/d cat /s/e/f && echo more >/s/more",
      "RUN --mount=type=cache,target=/s,from=base,source=/d cat /s/more",
    ].join("\n"),
  );
  expect((await ok([seeded])).stderr).toMatch(/ seed\n[\s\S]* more\n/);
  expect(
    (await build([context("FROM busybox\nRUN --mount=type=cache,target=/c,sharing=x true\n")])).stderr,
  ).toContain('unsupported sharing value "x"');
});

test("a part of a cache is never what another step made of its name (CVE-2024-23651)", async () => {
  const directory = context(
    [
      "FROM busybox",
      "RUN --mount=type=cache,id=evil,target=/c rm -rf /c/sub && ln -s /etc /c/sub && ln -s / /c/up",
      "RUN --mount=type=cache,id=evil,source=sub,target=/x ls -la /x && ! ls /x/hostname /x/passwd 2>/dev/null",
      "RUN --mount=type=cache,id=evil,source=up/etc,target=/x ! ls /x/hostname /x/passwd 2>/dev/null",
      "FROM busybox AS links",
      "RUN ln -s /etc /link && mkdir /real && echo inside >/real/f && ln -s ../../../../../../real /climb",
      "FROM busybox",
      "RUN --mount=type=bind,from=links,source=/link,target=/x cat /x/passwd | grep web",
      "RUN --mount=type=bind,from=links,source=/climb,target=/x cat /x/f",
    ].join("\n"),
  );
  const { stderr } = await ok([directory]);
  expect(stderr).toContain("web:x:33:44");
  expect(stderr).toContain(" inside\n");
});

test("what was made to mount on is gone again, also when a step puts links there (CVE-2024-23652)", async () => {
  const outside = join(engine.directory, "outside");
  mkdirSync(join(outside, "empty"), { recursive: true });
  const directory = context(
    [
      "FROM busybox",
      "RUN --mount=type=tmpfs,target=/made/for/it true",
      "RUN test ! -e /made",
      `RUN --mount=type=tmpfs,target=/a/empty cd / && busybox umount /a/empty 2>/dev/null; mv /a /b; ln -s ${outside} /a; true`,
      "RUN --mount=type=bind,target=/dev/new/thing true",
    ].join("\n"),
  );
  await ok(["-t", "stubs", directory]);
  expect(existsSync(join(outside, "empty"))).toBe(true);
  const listed = await engine.cli("wherry", ["run", "--rm", "stubs", "ls", "/"]);
  expect(listed.stdout.split("\n")).not.toContain("made");
});

/** Above what Linux takes as one argument. */
const long = (line: string) => `${`: ${"x".repeat(1000)}\n`.repeat(200)}${line}\n`;

test("a script larger than an argument can be runs, in the shell that was chosen", async () => {
  const script = long('echo "$0 is long in $WHERE"');
  const directory = context(
    [
      "FROM busybox",
      "ARG WHERE=here",
      `RUN <<EOF\n${script}EOF`,
      'SHELL ["/bin/sh", "-e", "-c"]',
      `RUN <<EOF\n${long("false; touch /reached")}EOF`,
    ].join("\n"),
  );
  const { code, stderr } = await build([directory]);
  expect(stderr).toContain("/bin/sh is long in here\n");
  expect([code, stderr]).toEqual([1, expect.stringContaining("did not complete successfully: exit code: 1")]);
  const classic = context(`FROM busybox\nRUN <<EOF\n${long("echo classic >/made")}EOF\n`);
  if (dockerCli === null) return;
  const built = await engine.cli("docker", ["build", "-q", "-t", "long", classic]);
  expect(`${built.stderr}${built.code}`).toEndWith("0");
  expect((await engine.cli("wherry", ["run", "--rm", "long", "cat", "/made"])).stdout).toBe("classic\n");
});

test("nothing is left", async () => {
  expect(await engine.leaks()).toEqual([]);
});
