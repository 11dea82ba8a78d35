/**
 * What happens to a container's record, and what must be done about it, when something is asked or observed.
 * Pure. Owns: the state machine, restart policies and their back-off. Promises: the record it returns is written before
 * any action is performed. Never: acts, reads a clock.
 */
import type { ContainerRecord, Observed, RestartPolicy } from "#spec/container.ts";

export type LifecycleEvent =
  | { readonly kind: "created" }
  | { readonly kind: "start-requested" }
  | { readonly kind: "launched"; readonly pid: number }
  | { readonly kind: "launch-failed"; readonly exitCode: number; readonly error: string }
  | { readonly kind: "stop-requested" }
  | {
      readonly kind: "exited";
      readonly exitCode: number;
      readonly oomKilled: boolean;
      readonly finishedAt: string;
    }
  | { readonly kind: "restart-due" }
  | { readonly kind: "paused" }
  | { readonly kind: "resumed" }
  | { readonly kind: "remove-requested" }
  | { readonly kind: "engine-started"; readonly reality: Reality };

/** What the runtime says of a container when the engine comes back to it. */
export type Reality =
  | { readonly state: "running" | "paused"; readonly pid: number }
  | { readonly state: "created" | "absent" }
  | {
      readonly state: "stopped";
      readonly exitCode: number;
      readonly oomKilled: boolean;
      readonly finishedAt: string;
    };

export type Action =
  /** Acquire rootfs, network and process. */
  | { readonly do: "launch" }
  /** Follow the process until it ends. */
  | { readonly do: "watch" }
  /** Give back process, network and mounts; the writable layer stays. */
  | { readonly do: "release" }
  | { readonly do: "remove"; readonly volumes: boolean }
  | { readonly do: "restart-after"; readonly delayMs: number }
  | { readonly do: "emit"; readonly action: string; readonly attributes: Readonly<Record<string, string>> };

export type Transition = readonly [record: ContainerRecord, actions: readonly Action[]];

/** Docker's back-off: the first delay, its ceiling, and the run time after which it starts over. */
export const restartDelayFirstMs = 100;
export const restartDelayMaxMs = 60_000;
export const restartResetAfterMs = 10_000;
/** What a run gets whose end nobody saw, as after a power cut. */
export const lostExitCode = 255;

/**
 * The record after `event`, and the actions to perform, in order.
 * @param now RFC 3339 with nanoseconds.
 */
export function next(record: ContainerRecord, event: LifecycleEvent, now: string): Transition {
  switch (event.kind) {
    case "created":
      return [{ ...record, desired: "stopped" }, [emit("create")]];
    case "start-requested":
      return [{ ...asked(record, "running"), restartCount: 0, restartDelayMs: 0 }, [{ do: "launch" }]];
    case "restart-due":
      return record.desired === "running" && !isLive(record)
        ? [{ ...record, run: record.run + 1, restartCount: record.restartCount + 1 }, [{ do: "launch" }]]
        : [record, []];
    case "launched":
      return [
        observe(record, { status: "running", pid: event.pid, startedAt: now, ...fresh }),
        [emit("start"), { do: "watch" }],
      ];
    case "launch-failed":
      return launchFailed(record, event.exitCode, event.error, now);
    case "stop-requested":
      return [{ ...record, desired: "stopped", manuallyStopped: true }, []];
    case "exited":
      return exited(record, event);
    case "paused":
      return [observe(record, { status: "paused" }), [emit("pause")]];
    case "resumed":
      return [observe(record, { status: "running" }), [emit("unpause")]];
    case "remove-requested":
      return [{ ...record, desired: "removed", observed: { ...record.observed, status: "removing" } }, []];
    case "engine-started":
      return engineStarted(record, event.reality, now);
  }
}

/** True while a process of the container exists. */
export function isLive(record: ContainerRecord): boolean {
  return record.observed.status === "running" || record.observed.status === "paused";
}

const fresh = { exitCode: 0, error: "", oomKilled: false, finishedAt: "0001-01-01T00:00:00Z" } as const;

function asked(record: ContainerRecord, desired: "running"): ContainerRecord {
  return { ...record, desired, manuallyStopped: false, run: record.run + 1 };
}

function observe(record: ContainerRecord, seen: Partial<Observed>): ContainerRecord {
  return { ...record, observed: { ...record.observed, ...seen } };
}

function emit(action: string, attributes: Readonly<Record<string, string>> = {}): Action {
  return { do: "emit", action, attributes };
}

function launchFailed(record: ContainerRecord, exitCode: number, error: string, now: string): Transition {
  const status = record.observed.status === "created" ? "created" : "exited";
  const failed = observe(record, {
    status,
    pid: 0,
    exitCode,
    error,
    finishedAt: record.run > 1 ? now : fresh.finishedAt,
  });
  const stopped: ContainerRecord = { ...failed, desired: "stopped" };
  const gone: Action[] = record.host.AutoRemove === true ? [{ do: "remove", volumes: true }] : [];
  return [stopped, [{ do: "release" }, ...gone]];
}

function exited(
  record: ContainerRecord,
  seen: { readonly exitCode: number; readonly oomKilled: boolean; readonly finishedAt: string },
): Transition {
  const ended = observe(record, {
    status: "exited",
    pid: 0,
    exitCode: seen.exitCode,
    oomKilled: seen.oomKilled,
    finishedAt: seen.finishedAt,
  });
  const ranMs = Date.parse(seen.finishedAt) - Date.parse(record.observed.startedAt);
  const actions: Action[] = [
    ...(seen.oomKilled ? [emit("oom")] : []),
    { do: "release" },
    emit("die", {
      exitCode: String(seen.exitCode),
      execDuration: String(Math.max(0, Math.floor(ranMs / 1000))),
    }),
  ];
  if (record.desired === "removed") return [ended, actions];
  if (record.desired === "running" && wantsRestart(record, seen.exitCode)) {
    const delayMs = nextDelay(record.restartDelayMs, ranMs);
    const waiting = observe({ ...ended, restartDelayMs: delayMs }, { status: "restarting" });
    return [waiting, [...actions, { do: "restart-after", delayMs }]];
  }
  const done: ContainerRecord = { ...ended, desired: "stopped" };
  return [done, record.host.AutoRemove === true ? [...actions, { do: "remove", volumes: true }] : actions];
}

/** Whether the policy brings the container back after it ended by itself with this code. */
export function wantsRestart(record: ContainerRecord, exitCode: number): boolean {
  const policy: RestartPolicy = record.host.RestartPolicy ?? {};
  if (record.manuallyStopped) return false;
  switch (policy.Name) {
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure": {
      const most = policy.MaximumRetryCount ?? 0;
      return exitCode !== 0 && (most === 0 || record.restartCount < most);
    }
    default:
      return false;
  }
}

function nextDelay(previousMs: number, ranMs: number): number {
  if (previousMs === 0 || ranMs >= restartResetAfterMs) return restartDelayFirstMs;
  return Math.min(previousMs * 2, restartDelayMaxMs);
}

function engineStarted(record: ContainerRecord, reality: Reality, now: string): Transition {
  if (record.desired === "removed" || record.purpose === "build")
    return [{ ...record, desired: "removed" }, [{ do: "release" }, { do: "remove", volumes: true }]];
  switch (reality.state) {
    case "running":
    case "paused":
      return [adopted(record, reality, now), [{ do: "watch" }]];
    case "stopped":
      return exited(isLive(record) ? record : adopted(record, { state: "running", pid: 0 }, now), reality);
    case "created":
    case "absent":
      return lost(record, now);
  }
}

/** A process that outlived the engine; one that was launched while the engine died gets its start time now. */
function adopted(
  record: ContainerRecord,
  reality: { readonly state: "running" | "paused"; readonly pid: number },
  now: string,
): ContainerRecord {
  const startedAt = isLive(record) ? record.observed.startedAt : now;
  return observe(record, { status: reality.state, pid: reality.pid, startedAt, ...fresh });
}

/** No process is there. What the record still holds is given back, and the restart policy has its say. */
function lost(record: ContainerRecord, now: string): Transition {
  const { status } = record.observed;
  if (isLive(record)) return exited(record, { exitCode: lostExitCode, oomKilled: false, finishedAt: now });
  if (status === "restarting" && record.desired === "running")
    return [record, [{ do: "release" }, { do: "restart-after", delayMs: record.restartDelayMs }]];
  const policy = record.host.RestartPolicy?.Name;
  const comesBack = policy === "always" || (policy === "unless-stopped" && !record.manuallyStopped);
  if (comesBack && record.run > 0)
    return [{ ...record, desired: "running" }, [{ do: "release" }, { do: "restart-after", delayMs: 0 }]];
  const settled = record.desired === "running" ? { ...record, desired: "stopped" as const } : record;
  return [settled, [{ do: "release" }]];
}
