import { describe, expect, test } from "bun:test";
import { type ContainerRecord, parseContainerId, type RestartPolicy, zeroTime } from "#spec/container.ts";
import { parseDigest } from "#spec/digest.ts";
import { type Action, type LifecycleEvent, lostExitCode, next } from "./lifecycle.ts";

const t0 = "2026-01-01T00:00:00.000000000Z";
const later = (ms: number) => new Date(Date.parse(t0) + ms).toISOString();

function container(policy: RestartPolicy = {}, more: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: parseContainerId("a".repeat(64)),
    name: "web",
    created: t0,
    image: { reference: "busybox", id: parseDigest(`sha256:${"b".repeat(64)}`) },
    config: { Cmd: ["true"] },
    host: { RestartPolicy: policy },
    endpoints: {},
    mounts: [],
    desired: "stopped",
    observed: {
      status: "created",
      pid: 0,
      exitCode: 0,
      error: "",
      oomKilled: false,
      startedAt: zeroTime,
      finishedAt: zeroTime,
    },
    run: 0,
    restartCount: 0,
    restartDelayMs: 0,
    manuallyStopped: false,
    ...more,
  };
}

const exit = (exitCode: number, at = later(1000)): LifecycleEvent => ({
  kind: "exited",
  exitCode,
  oomKilled: false,
  finishedAt: at,
});

/** Plays events in turn; gives the last record and the words of all actions. */
function play(record: ContainerRecord, ...events: LifecycleEvent[]): [ContainerRecord, string[]] {
  let at = record;
  const words: string[] = [];
  for (const event of events) {
    const [after, actions] = next(at, event, t0);
    at = after;
    words.push(...actions.map(word));
  }
  return [at, words];
}

function word(action: Action): string {
  if (action.do === "emit") return `emit ${action.action}`;
  if (action.do === "restart-after") return `restart-after ${action.delayMs}`;
  return action.do;
}

const started: LifecycleEvent[] = [{ kind: "start-requested" }, { kind: "launched", pid: 42 }];

describe("one run", () => {
  test("start launches, follows and tells; the end gives everything back", () => {
    const [record, words] = play(container(), ...started, exit(3));
    expect(words).toEqual(["launch", "emit start", "watch", "release", "emit die"]);
    expect(record.observed).toMatchObject({ status: "exited", pid: 0, exitCode: 3, finishedAt: later(1000) });
    expect(record.desired).toBe("stopped");
    expect(record.run).toBe(1);
  });

  test("the end of an --rm container removes it and its anonymous volumes", () => {
    const [, words] = play(container({}, { host: { AutoRemove: true } }), ...started, exit(0));
    expect(words.slice(-3)).toEqual(["release", "emit die", "remove"]);
  });

  test("a launch that fails leaves the container as it was, with the error and nothing held", () => {
    const [record, words] = play(
      container(),
      { kind: "start-requested" },
      { kind: "launch-failed", exitCode: 127, error: "no such file" },
    );
    expect(words).toEqual(["launch", "release"]);
    expect(record.observed).toMatchObject({ status: "created", exitCode: 127, error: "no such file" });
  });

  test("a launch of an --rm container that fails removes it", () => {
    const [, words] = play(
      container({}, { host: { AutoRemove: true } }),
      { kind: "start-requested" },
      { kind: "launch-failed", exitCode: 127, error: "x" },
    );
    expect(words).toEqual(["launch", "release", "remove"]);
  });

  test("an out-of-memory kill is told before the end", () => {
    const [record, words] = play(container(), ...started, {
      ...exit(137),
      oomKilled: true,
    } as LifecycleEvent);
    expect(words.slice(-3)).toEqual(["emit oom", "release", "emit die"]);
    expect(record.observed.oomKilled).toBe(true);
  });
});

describe("restart policies", () => {
  test("always comes back after 100 ms, then doubles", () => {
    let [record, words] = play(container({ Name: "always" }), ...started, exit(0));
    const delays: string[] = [...words.filter((each) => each.startsWith("restart"))];
    expect(record.observed.status).toBe("restarting");
    for (let i = 0; i < 11; i += 1) {
      [record, words] = play(record, { kind: "restart-due" }, { kind: "launched", pid: 1 }, exit(0));
      delays.push(...words.filter((each) => each.startsWith("restart")));
    }
    expect(delays.map((each) => Number(each.split(" ")[1]))).toEqual([
      100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000,
    ]);
    expect(record.restartCount).toBe(11);
  });

  test("a run of ten seconds starts the back-off over", () => {
    const [tired] = play(container({ Name: "always" }, { restartDelayMs: 6400 }), ...started);
    const [, words] = play({ ...tired, restartDelayMs: 6400 }, exit(0, later(10_000)));
    expect(words).toContain("restart-after 100");
  });

  test("on-failure:2 gives up after two restarts, and never follows success", () => {
    const policy: RestartPolicy = { Name: "on-failure", MaximumRetryCount: 2 };
    expect(play(container(policy), ...started, exit(0))[1]).not.toContain("restart-after 100");
    const again: LifecycleEvent[] = [{ kind: "restart-due" }, { kind: "launched", pid: 1 }, exit(1)];
    const [record, words] = play(container(policy), ...started, exit(1), ...again, ...again);
    expect(words.filter((each) => each.startsWith("restart"))).toHaveLength(2);
    expect(record.observed.status).toBe("exited");
  });

  test("a stop by the user ends it for good", () => {
    const [record, words] = play(
      container({ Name: "always" }),
      ...started,
      { kind: "stop-requested" },
      exit(143),
    );
    expect(words.filter((each) => each.startsWith("restart"))).toEqual([]);
    expect(record).toMatchObject({ desired: "stopped", manuallyStopped: true });
    expect(play(record, { kind: "restart-due" })[1]).toEqual([]);
  });
});

describe("the engine comes back", () => {
  const running = play(container({}, { desired: "running" }), ...started)[0];

  test("a live container is adopted with its start time", () => {
    const [record, words] = play(running, { kind: "engine-started", reality: { state: "running", pid: 42 } });
    expect(words).toEqual(["watch"]);
    expect(record.observed).toMatchObject({ status: "running", pid: 42, startedAt: t0 });
  });

  test("one that ended meanwhile gets its true code and time", () => {
    const reality = { state: "stopped", exitCode: 5, oomKilled: false, finishedAt: later(7) } as const;
    const [record, words] = play(running, { kind: "engine-started", reality });
    expect(record.observed).toMatchObject({ status: "exited", exitCode: 5, finishedAt: later(7) });
    expect(words).toEqual(["release", "emit die"]);
  });

  test("one that is gone without a trace ended with 255", () => {
    const [record] = play(running, { kind: "engine-started", reality: { state: "absent" } });
    expect(record.observed.exitCode).toBe(lostExitCode);
  });

  test("a launch cut short is undone", () => {
    const [launching] = play(container(), { kind: "start-requested" });
    const [record, words] = play(launching, { kind: "engine-started", reality: { state: "created" } });
    expect(words).toEqual(["release"]);
    expect(record.desired).toBe("stopped");
  });

  test("a removal cut short is finished", () => {
    const [doomed] = play(running, { kind: "remove-requested" });
    expect(play(doomed, { kind: "engine-started", reality: { state: "absent" } })[1]).toEqual([
      "release",
      "remove",
    ]);
  });

  test("a build's container is removed even while it runs", () => {
    const step: ContainerRecord = { ...running, purpose: "build" };
    const reality = { state: "running", pid: 42 } as const;
    expect(play(step, { kind: "engine-started", reality })[1]).toEqual(["release", "remove"]);
  });

  test("unless-stopped comes back, unless stopped", () => {
    const policy = { Name: "unless-stopped" } as const;
    const [ended] = play(container(policy, { run: 1 }), {
      kind: "engine-started",
      reality: { state: "absent" },
    });
    expect(ended.desired).toBe("running");
    const [stopped, words] = play(container(policy, { run: 1, manuallyStopped: true }), {
      kind: "engine-started",
      reality: { state: "absent" },
    });
    expect(stopped.desired).toBe("stopped");
    expect(words).toEqual(["release"]);
  });
});
