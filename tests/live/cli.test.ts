/**
 * The commands of the docker CLI, each against a real engine: once with the docker CLI, unmodified, and once with
 * wherry's own. Both must say the same.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CliResult, dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => await engine.removeContainers());

const programs = [
  ["wherry", false],
  // Debian has no docker CLI of this age; where none is installed, wherry's own goes the same way.
  ["docker", dockerCli === null],
] as const;

/** What a build says, by the protocol: docker is asked for the classic one here; buildx has a file of its own. */
const classic = {
  tagged: "Successfully tagged built:latest",
  cached: /Using cache/g,
  failed: ["returned a non-zero code: 3", "line 2"],
};
const withBuildKit = {
  tagged: "naming to docker.io/library/built:latest",
  cached: /CACHED/g,
  failed: ["did not complete successfully: exit code: 3", "Dockerfile:2"],
};

for (const [program, absent] of programs)
  describe.skipIf(absent)(program, () => {
    const run = async (...args: string[]): Promise<CliResult> => await engine.cli(program, args);
    const ok = async (...args: string[]): Promise<string> => {
      const result = await run(...args);
      expect(`${result.stderr}${result.code}`).toBe("0");
      return result.stdout;
    };

    test("version and info name both sides", async () => {
      expect(await ok("version", "--format", "{{.Server.APIVersion}}")).toBe("1.50\n");
      expect(await ok("version")).toContain("Server: Wherry");
      expect(await ok("info", "--format", "{{.OSType}} {{.Driver}}")).toBe("linux overlay2\n");
    });

    describe("run", () => {
      const outcomes: [string, string[], Partial<CliResult>][] = [
        [
          "the command's output and exit code",
          ["busybox", "sh", "-c", "echo out; echo err >&2; exit 42"],
          { code: 42, stdout: "out\n", stderr: "err\n" },
        ],
        [
          "the output alone that is attached",
          ["-a", "stdout", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"],
          { code: 3, stdout: "out\n", stderr: "" },
        ],
        [
          "the errors alone that are attached",
          ["-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2"],
          { stdout: "", stderr: "err\n" },
        ],
        [
          "neither output nor errors to who attaches its input alone",
          ["-a", "stdin", "-i", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"],
          { code: 3, stdout: "", stderr: "" },
        ],
        ["the environment", ["-e", "A=1", "-e", "B", "busybox", "sh", "-c", "echo $A$B"], { stdout: "1\n" }],
        ["the working directory", ["-w", "/made/here", "busybox", "pwd"], { stdout: "/made/here\n" }],
        ["the user", ["-u", "web", "busybox", "id"], { stdout: "uid=33(web) gid=44(www) groups=44(www)\n" }],
        ["the entrypoint", ["--entrypoint", "echo", "busybox", "a", "b"], { stdout: "a b\n" }],
        ["the host name", ["-h", "box", "busybox", "hostname"], { stdout: "box\n" }],
        ["no network", ["--network", "none", "busybox", "ls", "/sys/class/net"], { stdout: "lo\n" }],
        [
          "a read-only root",
          ["--read-only", "busybox", "touch", "/x"],
          { code: 1, stderr: "touch: /x: Read-only file system\n" },
        ],
        ["a terminal", ["-t", "busybox", "tty"], { stdout: "/dev/pts/0\r\n" }],
        [
          "a tmpfs",
          ["--tmpfs", "/t", "busybox", "grep", "-c", " /t tmpfs", "/proc/mounts"],
          { stdout: "1\n" },
        ],
        [
          "fewer capabilities",
          ["--cap-drop", "ALL", "busybox", "grep", "CapBnd", "/proc/self/status"],
          { stdout: "CapBnd:\t0000000000000000\n" },
        ],
        [
          "Docker's default capabilities",
          ["busybox", "grep", "CapEff", "/proc/self/status"],
          { stdout: "CapEff:\t00000000a80425fb\n" },
        ],
        [
          "a filter of system calls",
          ["busybox", "grep", "Seccomp:", "/proc/self/status"],
          { stdout: "Seccomp:\t2\n" },
        ],
      ];
      for (const [what, args, expected] of outcomes)
        test(`gives ${what}`, async () => {
          expect(await run("run", "--rm", ...args)).toMatchObject({ code: 0, ...expected });
        });

      test("limits memory and CPUs", async () => {
        const script =
          "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max";
        const { stdout } = await run(
          "run",
          "--rm",
          "-m",
          "64m",
          "--cpus",
          "0.5",
          "busybox",
          "sh",
          "-c",
          script,
        );
        expect(stdout).toMatch(/^67108864\n50000/);
      });

      test("passes its input on, and its end", async () => {
        const input = "hi\n".repeat(50_000);
        expect(await engine.cli(program, ["run", "-i", "--rm", "busybox", "cat"], { input })).toEqual({
          code: 0,
          stdout: input,
          stderr: "",
        });
        expect(
          await engine.cli(program, ["run", "-i", "--rm", "busybox", "wc", "-c"], { input: "" }),
        ).toMatchObject({ stdout: "0\n" });
      });

      const failures: [string, string[], number, string][] = [
        [
          "a command that is not there",
          ["busybox", "nosuch"],
          127,
          'exec: "nosuch": executable file not found in $PATH',
        ],
        ["a command that is no program", ["busybox", "/etc/passwd"], 126, "permission denied"],
        ["an image that is not there", ["nosuch:1"], 125, "Unable to find image 'nosuch:1' locally"],
        [
          "a bind source that is not there",
          ["--mount", "type=bind,src=/nosuch/x,dst=/x", "busybox"],
          125,
          "bind source path does not exist: /nosuch/x",
        ],
        [
          "a user that is not there",
          ["-u", "nobody", "busybox"],
          125,
          "unable to find user nobody: no matching entries in passwd file",
        ],
        ["a flag that is not there", ["--nosuch", "busybox"], 125, "unknown flag: --nosuch"],
      ];
      for (const [what, args, code, message] of failures)
        test(`refuses ${what} with ${code}, and leaves nothing`, async () => {
          const result = await run("run", "--rm", ...args);
          expect(result.stderr).toContain(message);
          expect(result.code).toBe(code);
          expect(await ok("ps", "-aq")).toBe("");
        });

      test("says whose a name or a port is", async () => {
        const id = (
          await ok("run", "-d", "--name", "first", "-p", "18080:80", "busybox", "sleep", "60")
        ).trim();
        expect((await run("run", "--name", "first", "busybox")).stderr).toContain(
          `The container name "/first" is already in use by container "${id}"`,
        );
        const taken = await run("run", "--rm", "-p", "18080:80", "busybox", "true");
        expect(taken.stderr).toContain(
          "Bind for 0.0.0.0:18080 failed: port is already allocated (by container first",
        );
        expect(taken.code).toBe(125);
      });

      test("passes signals on", async () => {
        const child = engine.spawn(program, [
          "run",
          "--rm",
          "--name",
          "sig",
          "busybox",
          "sh",
          "-c",
          "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.05; done",
        ]);
        let out = "";
        child.stdout?.on("data", (part: Buffer) => {
          out += part.toString();
          if (out === "ready\n") child.kill("SIGTERM");
        });
        const code = await new Promise((resolve) => child.on("close", resolve));
        expect(out).toBe("ready\ngot\n");
        expect(code).toBe(9);
      });

      test("publishes ports, and mounts directories and volumes", async () => {
        const site = join(engine.directory, "site");
        mkdirSync(site, { recursive: true });
        writeFileSync(join(site, "page"), `from ${program}\n`);
        await ok(
          "run",
          "-d",
          "--name",
          "web",
          "-p",
          "18081:80",
          "-v",
          `${site}:/www:ro`,
          "-v",
          "data:/data",
          "busybox",
          "httpd",
          "-f",
          "-h",
          "/www",
        );
        const fetched = await engine.cli("curl", [
          "-s",
          "--retry",
          "5",
          "--retry-connrefused",
          "http://127.0.0.1:18081/page",
        ]);
        expect(fetched.stdout).toBe(`from ${program}\n`);
        expect(await ok("port", "web")).toBe("80/tcp -> 0.0.0.0:18081\n80/tcp -> [::]:18081\n");
        await ok("exec", "web", "sh", "-c", "echo kept > /data/file");
        await ok("rm", "-f", "web");
        expect(await ok("run", "--rm", "-v", "data:/d", "busybox", "cat", "/d/file")).toBe("kept\n");
        await ok("volume", "rm", "data");
      });
    });

    test("a container's life: create, start, ps, inspect, logs, stop, restart, wait, rm", async () => {
      const script = "trap 'exit 3' TERM; echo one; echo two; while :; do sleep 0.05; done";
      const id = (await ok("create", "--name", "life", "-l", "a=b", "busybox", "sh", "-c", script)).trim();
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      expect(await ok("inspect", "--format", "{{.State.Status}}", "life")).toBe("created\n");
      expect(await ok("start", "life")).toBe("life\n");
      expect(await ok("ps", "--format", "{{.ID}} {{.Names}} {{.Image}} {{.State}}")).toBe(
        `${id.slice(0, 12)} life busybox running\n`,
      );
      expect(await ok("ps", "-q", "--filter", "label=a=b", "--no-trunc")).toBe(`${id}\n`);
      await until(async () => (await ok("logs", "life")) === "one\ntwo\n");
      expect(await ok("logs", "--tail", "1", "life")).toBe("two\n");
      expect(await ok("logs", "-t", "life")).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z one\n/);
      expect(await ok("stop", "life")).toBe("life\n");
      expect(await ok("inspect", "-f", "{{.State.ExitCode}} {{.State.Running}}", "life")).toBe("3 false\n");
      expect(await ok("restart", "-t", "1", "life")).toBe("life\n");
      await ok("pause", "life");
      expect(await ok("ps", "--format", "{{.Status}}")).toContain("(Paused)");
      await ok("unpause", "life");
      await ok("rename", "life", "after");
      const waiting = run("wait", "after");
      await Bun.sleep(100);
      await ok("kill", "-s", "TERM", "after");
      expect(await waiting).toMatchObject({ code: 0, stdout: "3\n" });
      expect((await run("rm", "nosuch")).stderr).toContain("No such container: nosuch");
      expect(await ok("rm", "after")).toBe("after\n");
      expect(await ok("ps", "-aq")).toBe("");
    });

    test("logs -f follows to the end; start -a and attach give output and exit code", async () => {
      await ok(
        "run",
        "-d",
        "--name",
        "ff",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3; do echo $i; sleep 0.2; done; exit 6",
      );
      expect(await ok("logs", "-f", "ff")).toBe("1\n2\n3\n");
      expect(await run("start", "-a", "ff")).toMatchObject({ code: 6, stdout: "1\n2\n3\n" });
      await ok(
        "run",
        "-d",
        "--name",
        "gg",
        "busybox",
        "sh",
        "-c",
        "until [ -e /go ]; do sleep 0.05; done; echo gone; exit 6",
      );
      const attaching = run("attach", "gg");
      const attaches = async () =>
        await ok(
          "events",
          "--since",
          "1",
          "--until",
          "0s",
          "--filter",
          "event=attach",
          "--filter",
          "container=gg",
        );
      while ((await attaches()) === "") await Bun.sleep(20);
      await ok("exec", "gg", "touch", "/go");
      expect(await attaching).toMatchObject({ code: 6, stdout: "gone\n" });
      await ok("rm", "gg");
    });

    test("exec has streams, input, user, directory, environment and exit code", async () => {
      await ok("run", "-d", "--name", "ee", "busybox", "sleep", "60");
      expect(await run("exec", "ee", "sh", "-c", "echo o; echo e >&2; exit 4")).toEqual({
        code: 4,
        stdout: "o\n",
        stderr: "e\n",
      });
      expect((await engine.cli(program, ["exec", "-i", "ee", "cat"], { input: "in" })).stdout).toBe("in");
      expect(
        await ok("exec", "-u", "web", "-w", "/tmp", "-e", "X=y", "ee", "sh", "-c", "id -un; pwd; echo $X"),
      ).toBe("web\n/tmp\ny\n");
      expect(await ok("exec", "-t", "ee", "tty")).toMatch(/^\/dev\/pts\/\d\r\n$/);
      const missing = await run("exec", "ee", "nosuch");
      expect(missing.code).toBe(127);
      expect(missing.stdout + missing.stderr).toContain('exec: "nosuch": executable file not found in $PATH');
      await ok("exec", "-d", "ee", "touch", "/tmp/made");
      await until(async () => (await ok("exec", "ee", "ls", "/tmp")) === "made\n");
      await ok("stop", "-t", "0", "ee");
      expect((await run("exec", "ee", "true")).stderr).toContain("is not running");
    });

    test("images: import, tag, images, history, rmi", async () => {
      const made = await engine.cli(program, ["import", "-c", "ENV A=b", "-m", "made", "-", "empty:1"], {
        input: "\0".repeat(1024),
      });
      expect(made.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
      await ok("tag", "empty:1", "empty:2");
      expect(
        (await ok("images", "--format", "{{.Repository}}:{{.Tag}}", "empty"))
          .split("\n")
          .sort()
          .join(" ")
          .trim(),
      ).toBe("empty:1 empty:2");
      expect(await ok("history", "--format", "{{.Comment}}", "empty:1")).toBe("made\n");
      expect(await ok("inspect", "-f", "{{json .Config.Env}}", "empty:1")).toContain('"A=b"');
      expect(await ok("rmi", "empty:1")).toBe("Untagged: empty:1\n");
      expect(await ok("rmi", "empty:2")).toContain("Deleted: sha256:");
      await ok("run", "-d", "--name", "user", "busybox", "sleep", "60");
      expect((await run("rmi", "busybox")).stderr).toContain(
        "conflict: unable to remove repository reference",
      );
      expect((await run("rmi", "nosuch")).stderr).toContain("No such image: nosuch");
    });

    test("build: stages, cache, .dockerignore, and an error with its line", async () => {
      const context = join(engine.directory, `context-${program}`);
      mkdirSync(join(context, "sub"), { recursive: true });
      const dockerfile = [
        "FROM busybox AS first",
        "ARG WHO=nobody",
        "RUN echo $WHO > /made",
        "FROM scratch",
        "COPY --from=first / /",
        "COPY . /ctx/",
        "WORKDIR /ctx",
        "ENV E=f",
        "EXPOSE 99",
        "LABEL l=m",
        "USER web",
        'ENTRYPOINT ["sh", "-c"]',
        'CMD ["cat /made; ls; echo $E; id -un"]',
      ];
      writeFileSync(join(context, "Dockerfile"), dockerfile.join("\n"));
      writeFileSync(join(context, ".dockerignore"), "*.log\n!keep.log\nDockerfile\n");
      for (const name of ["a.log", "keep.log", "sub/file"]) writeFileSync(join(context, name), name);
      const buildWords = program === "wherry" ? withBuildKit : classic;
      const first = await run("build", "-t", "built", "--build-arg", `WHO=${program}`, context);
      expect(first.code).toBe(0);
      expect(first.stdout + first.stderr).toContain(buildWords.tagged);
      expect(await ok("run", "--rm", "built")).toBe(`${program}\nkeep.log\nsub\nf\nweb\n`);
      const again = await run("build", "-t", "built", "--build-arg", `WHO=${program}`, context);
      expect((again.stdout + again.stderr).match(buildWords.cached)?.length).toBeGreaterThan(4);
      writeFileSync(join(context, "Dockerfile"), "FROM busybox\nRUN exit 3\n");
      const failed = await run("build", context);
      expect(failed.code).not.toBe(0);
      for (const words of buildWords.failed) expect(failed.stderr).toContain(words);
      writeFileSync(join(context, "Dockerfile"), "FROM busybox\nRUM x\n");
      expect((await run("build", context)).stderr).toContain(
        "dockerfile parse error on line 2: unknown instruction: RUM",
      );
      await ok("rmi", "-f", "built");
    });

    test("events tell what happened", async () => {
      const since = (Date.now() / 1000).toFixed(3);
      await ok("run", "--rm", "--name", "seen", "busybox", "true");
      const until = (Date.now() / 1000 + 0.5).toFixed(3);
      const text = await ok(
        "events",
        "--since",
        since,
        "--until",
        until,
        "--filter",
        "container=seen",
        "--format",
        "{{.Action}}",
      );
      expect(text.trim().split("\n")).toEqual(["create", "attach", "start", "die", "destroy"]);
    });

    test("a network of another container, and the host's", async () => {
      await ok("run", "-d", "--name", "owner", "busybox", "httpd", "-f", "-h", "/etc");
      expect(
        await ok(
          "run",
          "--rm",
          "--network",
          "container:owner",
          "busybox",
          "wget",
          "-qO-",
          "http://127.0.0.1/hostname",
        ),
      ).toMatch(/^[0-9a-f]{12}\n$/);
      expect(await ok("run", "--rm", "--network", "host", "busybox", "ls", "/sys/class/net")).toContain("wh");
    });
  });
