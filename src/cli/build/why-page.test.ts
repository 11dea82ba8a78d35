import { expect, test } from "bun:test";
import type { ContainerInspect, ContainerState, ImageInspect } from "#spec/docker-wire.ts";
import { type WhyFacts, whyPage } from "./why-page.ts";

const now = Date.parse("2026-01-01T12:00:00Z");
const at = (secondsAgo: number) => new Date(now - secondsAgo * 1000).toISOString();
const zero = "0001-01-01T00:00:00Z";

interface Given extends Partial<Omit<WhyFacts, "container">> {
  readonly state?: Partial<ContainerState>;
  readonly container?: Partial<ContainerInspect>;
}

function page({ state, container, ...more }: Given): string {
  const image = { Id: "sha256:aaaaaaaaaaaabbbb", Config: { Cmd: ["a"] } } as unknown as ImageInspect;
  return whyPage(
    {
      container: {
        ...{ Name: "/web", Id: "c".repeat(64), Image: image.Id, Created: at(3600), RestartCount: 0 },
        ...{ Config: { Image: "busybox" }, HostConfig: {} },
        ...container,
        State: {
          ...{
            Status: "exited",
            Running: false,
            Paused: false,
            Restarting: false,
            OOMKilled: false,
            Dead: false,
          },
          ...{ Pid: 0, ExitCode: 0, Error: "", StartedAt: at(400), FinishedAt: at(300) },
          ...state,
        },
      } as ContainerInspect,
      ...{ image, named: image, donors: [], logs: [] },
      ...more,
    },
    now,
  );
}

test("an end by itself, with the last output", () => {
  expect(page({ state: { ExitCode: 3 }, logs: ["one", "two"] })).toBe(
    `web (cccccccccccc, busybox)
  Ended 5 minutes ago with exit code 3.
  It had run for about a minute.
  Its process ended by itself.

Last output
  one
  two
`,
  );
});

const codes: [string, Partial<ContainerState>, string[]][] = [
  ["a missing command", { ExitCode: 127 }, ["the command was not found"]],
  ["one that cannot run", { ExitCode: 126 }, ["cannot be run"]],
  [
    "a signal nobody sent through the engine",
    { ExitCode: 139 },
    ["SIGSEGV", "from inside it, or from the host"],
  ],
  [
    "a stop that was not heeded",
    { ExitCode: 137, Ending: { By: "stop", Signal: 15, At: at(310) } },
    ["A user stopped it with SIGTERM at 2026-01-01 11:54:50 UTC", "did not end within its grace"],
  ],
  [
    "a kill",
    { ExitCode: 137, Ending: { By: "kill", Signal: 9, At: at(300) } },
    ["A user killed it with SIGKILL"],
  ],
  [
    "a lost end",
    { ExitCode: 255, Ending: { By: "lost", Signal: 0, At: at(9) } },
    ["The engine was not there"],
  ],
  ["a failed removal", { Status: "dead", Error: "EBUSY" }, ["Its removal failed: EBUSY"]],
  ["a pause", { Status: "paused" }, ["Paused: its processes stand still"]],
  [
    "one that was never started",
    { Status: "created", StartedAt: zero },
    ["Created about an hour ago, and never"],
  ],
  [
    "a start that failed",
    { Status: "created", StartedAt: zero, Error: 'exec: "nope": not found', ExitCode: 127 },
    ['Its last start failed: exec: "nope": not found', "Exit code 127: the command was not found"],
  ],
];
test.each(codes)("%s", (_, state, words) => {
  for (const each of words) expect(page({ state })).toContain(each);
});

test("memory, with the limit", () => {
  const state = { ExitCode: 137, OOMKilled: true };
  const text = page({ state, container: { HostConfig: { Memory: 8 << 20 } } });
  expect(text).toContain("for want of memory: its limit is 8 MiB.");
  expect(text).not.toContain("Nobody asked");
  expect(page({ state })).toContain("it has no limit of its own");
});

test("restarts done, and the next one", () => {
  const HostConfig = { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } } as const;
  const container = { HostConfig, RestartCount: 2 };
  expect(page({ container, state: { Status: "restarting", ExitCode: 1, RestartAt: at(-3.25) } })).toContain(
    `Restarts
  It is restarted when it fails, 3 times at most.
  Restarted 2 times since a user last started it.
  Next restart in 3.3 s.
`,
  );
  expect(page({ container: { ...container, RestartCount: 3 } })).toContain("No restart is left");
});

test("a run that goes on tells of the one before", () => {
  const Previous = {
    ...{ ExitCode: 0, OOMKilled: false, FinishedAt: at(20) },
    Ending: { By: "unhealthy", Signal: 0, At: at(21) } as const,
  };
  expect(page({ state: { Status: "running", Pid: 7, StartedAt: at(19), Previous } })).toContain(
    "  Running for 19 seconds, as process 7.\n  The run before ended 20 seconds ago with exit code 0 (success): its restart policy ended it, being unhealthy.\n",
  );
});

test("probes, newest last, with what they said", () => {
  const Log = [
    { Start: at(60), End: at(60), ExitCode: 0, Output: "" },
    { Start: at(30), End: at(30), ExitCode: 22, Output: "curl: (22)\nmore\nand more\nthan three\n" },
    { Start: at(5), End: at(4), ExitCode: -1, Output: "Health check exceeded timeout (1s)" },
  ];
  const text = page({
    state: { Status: "running", Health: { Status: "unhealthy", FailingStreak: 2, Log } },
    container: {
      Config: {
        Image: "busybox",
        Healthcheck: { Test: ["CMD-SHELL", "curl -f :80"] },
      } as ContainerInspect["Config"],
    },
  });
  expect(text).toContain(`Health
  unhealthy, 2 failures in a row. Checked by CMD-SHELL curl -f :80
  about a minute ago: healthy.
  30 seconds ago: failed with 22. curl: (22)
      more
      and more
  5 seconds ago: no answer. Health check exceeded timeout (1s)
`);
});

test("an image that is newer, and what differs", () => {
  const named = {
    Id: "sha256:dddd",
    Created: at(86400 * 2),
    Config: { Cmd: ["b"] },
  } as unknown as ImageInspect;
  expect(page({ named })).toContain(`Changed since
  busybox is another image now: dddd, made 2 days ago; this container still runs aaaaaaaaaaaa.
  They differ in Cmd, besides their files.
  Make the container anew to use it.
`);
  expect(page({ image: undefined, named: undefined })).toContain("is not here any more");
});

test("donors of namespaces: gone, not running, restarted since", () => {
  const running = { Running: true, StartedAt: at(10) } as ContainerState;
  const text = page({
    state: { Status: "running" },
    donors: [
      { name: "lost" },
      { name: "still", state: { ...running, Running: false } },
      { name: "db", state: running },
      { name: "older", state: { ...running, StartedAt: at(500) } },
    ],
  });
  expect(text).toContain("lost is gone");
  expect(text).toContain("still does not run");
  expect(text).toContain("db was restarted after this container");
  expect(text).not.toContain("older");
});
