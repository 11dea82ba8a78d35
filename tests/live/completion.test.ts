/** Completion in the shells themselves, with an engine that knows names. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Client } from "#client/client.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

const programs = join(import.meta.dir, "../../bin");
let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
  for (const name of ["alpha-running", "beta-stopped"])
    await client.containers.create({ Image: "busybox", Cmd: ["sleep", "600"], HostConfig: {} }, { name });
  await client.containers.start("alpha-running");
  await client.volumes.create({ Name: "gamma-volume" });
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function ask(...words: string[]): Promise<{ words: string[]; directive: string }> {
  const { stdout, code } = await engine.cli("wherry", ["__complete", ...words]);
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split("\n");
  return {
    words: lines.slice(0, -1).map((line) => line.split("\t")[0] ?? ""),
    directive: lines.at(-1) ?? "",
  };
}

const env = { PATH: `${programs}:${process.env["PATH"]}`, TERM: "dumb" };

/** What a shell on a terminal did when these lines were typed. */
async function typed(shell: string, lines: readonly string[]): Promise<string> {
  const { stdout } = await engine.cli("script", ["-qec", shell, "/dev/null"], {
    input: lines.map((line) => `${line}\n`).join(""),
    env,
  });
  return stdout;
}

describe("the program", () => {
  test.each([
    [["sto"], ["stop"]],
    [["container", "ren"], ["rename"]],
    [["stop", ""], ["alpha-running"]],
    [["start", ""], ["beta-stopped"]],
    [["rm", "-f", "be"], ["beta-stopped"]],
    [["exec", "-it", "al"], ["alpha-running"]],
    [["run", "--rm", "bu"], ["busybox:latest"]],
    [["run", "--network", "b"], ["bridge"]],
    [["run", "--restart=un"], ["--restart=unless-stopped"]],
    [["run", "--cap-add", "NET_A"], ["NET_ADMIN"]],
    [["volume", "rm", ""], ["gamma-volume"]],
    [["ps", "--filter", "stat"], ["status="]],
    [["ps", "--filter", "status=ru"], ["status=running"]],
    [["ps", "-f", "volume=gam"], ["volume=gamma-volume"]],
    [
      ["kill", "-s", "SIGUSR"],
      ["SIGUSR1", "SIGUSR2"],
    ],
    [["stats", "--no-s"], ["--no-stream"]],
    [["inspect", "g"], ["gamma-volume"]],
    [["top", "alpha-running", ""], []],
    [["nonsense", ""], []],
  ])("%p", async (words, expected) => {
    expect((await ask(...words)).words).toEqual(expected);
  });

  test("leaves files to the shell where a file may stand, and no blank behind what goes on", async () => {
    expect((await ask("cp", "")).directive).toBe(":0");
    expect((await ask("exec", "alpha-running", "")).directive).toBe(":0");
    expect((await ask("stop", "")).directive).toBe(":4");
    expect((await ask("ps", "--filter", "sta")).directive).toBe(":6");
  });

  test("knows its commands without an engine", async () => {
    const alone = { env: { WHERRY_HOST: "unix:///nowhere/engine.sock" } };
    expect((await engine.cli("wherry", ["__complete", "stop", ""], alone)).stdout).toBe(":4\n");
    expect((await engine.cli("wherry", ["__complete", "sto"], alone)).stdout).toStartWith("stop\t");
  });

  test("has a script for three shells, and says so of others", async () => {
    expect(await engine.cli("wherry", ["completion", "tcsh"])).toMatchObject({
      code: 1,
      stderr: 'no completion for "tcsh": there is one for bash, zsh and fish\n',
    });
  });
});

test("bash", async () => {
  const screen = await typed("bash --norc --noprofile -i", [
    "bind 'set enable-bracketed-paste off'",
    "source <(wherry completion bash)",
    'wherry() { if [[ $1 == __* ]]; then command wherry "$@"; else echo "ran: $*"; fi; }',
    "wherry stop al\t",
    "wherry ps --filter stat\trunn\t",
    "wherry ps --filter=status=runn\t",
    "wherry container insp\tbeta\t",
    "exit",
  ]);
  expect(screen).toContain("ran: stop alpha-running\r\n");
  expect(screen).toContain("ran: ps --filter status=running\r\n");
  expect(screen).toContain("ran: ps --filter=status=running\r\n");
  expect(screen).toContain("ran: container inspect beta-stopped\r\n");
});

test.skipIf(Bun.which("zsh") === null)("zsh (skipped where it is not installed)", async () => {
  const screen = await typed("zsh -f -i", [
    "autoload -U compinit; compinit -u -D",
    "source <(wherry completion zsh)",
    'wherry() { if [[ $1 == __* ]]; then command wherry "$@"; else echo "ran: $*"; fi; }',
    "wherry stop al\t",
    "wherry ps --filter stat\trunn\t",
    "exit",
  ]);
  expect(screen).toContain("ran: stop alpha-running");
  expect(screen).toContain("ran: ps --filter status=running");
});

test.skipIf(Bun.which("fish") === null)("fish (skipped where it is not installed)", async () => {
  const complete = async (line: string) =>
    (
      await engine.cli(
        "fish",
        ["--no-config", "-c", `wherry completion fish | source; complete -C '${line}'`],
        { env },
      )
    ).stdout;
  expect(await complete("wherry stop ")).toStartWith("alpha-running\tbusybox");
  expect(await complete("wherry ps --filter stat")).toBe("status=\n");
  expect(await complete("wherry cp /et")).toBe("/etc/\n");
});
