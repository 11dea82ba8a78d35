/**
 * What happens to a container's record, and what must be done about it, when something is asked or observed.
 * Pure. Owns: the state machine. Promises: the record it returns is written before any action is performed.
 * Never: acts, reads a clock.
 */

import type { Action, Exit, LifecycleEvent, Reality, Transition } from "#engine/transition.ts";
import { type ContainerRecord, type Ending, type Observed, zeroTime } from "#spec/container.ts";
import { type ProbeResult, timingOf } from "#spec/health.ts";
import { freshHealth, judged, unwatched } from "./health.ts";
import { comesBack, endsUnhealthy, nextDelay, wantsRestart } from "./restart-policy.ts";

/** What a run gets whose end nobody saw, as after a power cut. */
export const lostExitCode = 255;
/** What a start gets that failed for another reason than its command. */
const failedExitCode = 128;

/**
 * The record after `event`, and the actions to perform, in order.
 * @param now RFC 3339 with nanoseconds.
 */
export function next(record: ContainerRecord, event: LifecycleEvent, now: string): Transition {
  switch (event.kind) {
    case "created":
      return [{ ...record, desired: "stopped" }, [emit("create")]];
    case "start-requested":
      return startRequested(record);
    case "restart-due":
      return restartDue(record);
    case "launched":
      return launched(record, event.pid, now);
    case "launch-failed":
      return launchFailed(record, event.exitCode, event.error, now);
    case "stop-requested":
      return stopRequested(record, { by: event.by, signal: event.signal, at: now });
    case "exited":
      return exited(record, event);
    case "out-of-memory":
      return record.observed.oomKilled ? [record, []] : [observe(record, { oomKilled: true }), [emit("oom")]];
    case "probed":
      return probed(record, event.result, now);
    case "paused":
      return [
        observe(record, { status: "paused", ...resting(record) }),
        [...(record.observed.health === undefined ? [] : [stopProbing]), emit("pause")],
      ];
    case "resumed":
      return [observe(record, { status: "running" }), [emit("unpause"), ...probing(record)]];
    case "remove-requested":
      return removeRequested(record, now);
    case "remove-failed":
      return [observe(record, { error: event.error, ...(!isLive(record) && { status: "dead" }) }), []];
    case "engine-started":
      return engineStarted(record, event.reality, now);
  }
}

/** True while a process of the container exists. */
export function isLive(record: ContainerRecord): boolean {
  return record.observed.status === "running" || record.observed.status === "paused";
}

/** True while it runs or its policy is about to make it: what Docker calls running. */
export function isUp(record: ContainerRecord): boolean {
  return isLive(record) || record.observed.status === "restarting";
}

const stopProbing: Action = { do: "stop-probing" };

function observe(record: ContainerRecord, seen: Partial<Observed>): ContainerRecord {
  return { ...record, observed: { ...record.observed, ...seen } };
}

function emit(action: string, attributes: Readonly<Record<string, string>> = {}): Action {
  return { do: "emit", action, attributes };
}

/** Of a container that is not looked at from now on. */
function resting({ observed }: ContainerRecord): Pick<Observed, "health"> {
  const health = unwatched(observed.health);
  return health === undefined ? {} : { health };
}

function probing({ observed }: ContainerRecord): Action[] {
  return observed.health === undefined ? [] : [{ do: "probe" }];
}

function startRequested(record: ContainerRecord): Transition {
  const { restartAt: _, ...settled } = record;
  const asked: ContainerRecord = {
    ...settled,
    desired: "running",
    manuallyStopped: false,
    run: record.run + 1,
    restartCount: 0,
    restartDelayMs: 0,
  };
  return [asked, [{ do: "launch" }]];
}

function restartDue(record: ContainerRecord): Transition {
  if (record.desired !== "running" || isLive(record)) return [record, []];
  const again = { ...record, run: record.run + 1, restartCount: record.restartCount + 1 };
  // Whether its launch succeeds or not, it is the policy that starts it.
  return [observe(again, { status: "restarting" }), [{ do: "launch" }]];
}

function launched(record: ContainerRecord, pid: number, now: string): Transition {
  const { ending, restartAt: _, ...begun } = record;
  const { exitCode, oomKilled, finishedAt } = record.observed;
  const previous = { exitCode, oomKilled, finishedAt, ...(ending !== undefined && { ending }) };
  const health = freshHealth(record);
  const running = observe(finishedAt === zeroTime ? begun : { ...begun, previous }, {
    status: "running",
    pid,
    startedAt: now,
    exitCode: 0,
    error: "",
    oomKilled: false,
    ...(health !== undefined && { health }),
  });
  return [running, [emit("start"), { do: "watch" }, ...probing(running)]];
}

function launchFailed(record: ContainerRecord, exitCode: number, error: string, now: string): Transition {
  const { observed } = record;
  // As dockerd: only a missing or unusable command replaces the code of the run before.
  const code = exitCode === failedExitCode ? observed.exitCode || failedExitCode : exitCode;
  const failed = observe(record, { pid: 0, exitCode: code, error });
  if (observed.status === "restarting") {
    if (wantsRestart(record, code)) {
      const [waiting, restart] = restartLater(failed, 0, now);
      return [waiting, [{ do: "release" }, restart]];
    }
    const { restartAt: _, ...rest } = failed;
    return settle(observe(rest, { status: "exited" }), [{ do: "release" }]);
  }
  return settle(failed, [{ do: "release" }]);
}

/** It rests; an `--rm` container goes. */
function settle(record: ContainerRecord, actions: readonly Action[]): Transition {
  const gone: Action[] = record.host.AutoRemove === true ? [{ do: "remove", volumes: true }] : [];
  return [{ ...record, desired: "stopped" }, [...actions, ...gone]];
}

function restartLater(record: ContainerRecord, ranMs: number, now: string): [ContainerRecord, Action] {
  const delayMs = nextDelay(record.restartDelayMs, ranMs);
  const restartAt = new Date(Date.parse(now) + delayMs).toISOString();
  const waiting = observe({ ...record, restartDelayMs: delayMs, restartAt }, { status: "restarting" });
  return [waiting, { do: "restart-after", delayMs }];
}

function stopRequested(record: ContainerRecord, ending: Ending): Transition {
  // A restart goes on also when the engine dies in the middle of it.
  const kept = ending.by === "restart" ? {} : ({ desired: "stopped", manuallyStopped: true } as const);
  if (isLive(record)) return [{ ...record, ...kept, ending }, []];
  const { restartAt: _, ...rest } = record;
  const stopped: ContainerRecord = { ...rest, ...kept, ending };
  return record.observed.status === "restarting"
    ? [observe(stopped, { status: "exited" }), [{ do: "cancel-restart" }]]
    : [stopped, []];
}

function exited(record: ContainerRecord, seen: Exit): Transition {
  const ended = observe(record, {
    status: "exited",
    pid: 0,
    exitCode: seen.exitCode,
    oomKilled: seen.oomKilled || record.observed.oomKilled,
    finishedAt: seen.finishedAt,
    ...resting(record),
  });
  const ranMs = Date.parse(seen.finishedAt) - Date.parse(record.observed.startedAt);
  const actions: Action[] = [
    ...(record.observed.health === undefined ? [] : [stopProbing]),
    ...(seen.oomKilled && !record.observed.oomKilled ? [emit("oom")] : []),
    { do: "release" },
    emit("die", {
      exitCode: String(seen.exitCode),
      execDuration: String(Math.max(0, Math.floor(ranMs / 1000))),
    }),
  ];
  if (record.desired === "removed") return [observe(ended, { status: "removing" }), actions];
  if (record.ending?.by === "restart") return [ended, actions];
  if (wantsRestart(record, seen.exitCode, record.ending)) {
    const [waiting, restart] = restartLater(ended, ranMs, seen.finishedAt);
    return [waiting, [...actions, restart]];
  }
  return settle(ended, actions);
}

function probed(record: ContainerRecord, result: ProbeResult, now: string): Transition {
  const { health: before, startedAt } = record.observed;
  if (before === undefined || record.observed.status !== "running") return [record, []];
  const health = judged(before, result, timingOf(record.config.Healthcheck), startedAt);
  const seen = observe(record, { health });
  if (health.status === before.status) return [seen, []];
  const told = emit(`health_status: ${health.status}`);
  if (health.status !== "unhealthy" || record.ending !== undefined || !endsUnhealthy(record))
    return [seen, [told]];
  return [{ ...seen, ending: { by: "unhealthy", signal: 0, at: now } }, [told, stopProbing, { do: "end" }]];
}

function removeRequested(record: ContainerRecord, now: string): Transition {
  const doomed: ContainerRecord = { ...record, desired: "removed" };
  if (isLive(record)) return [{ ...doomed, ending: { by: "remove", signal: 9, at: now } }, []];
  const waits = record.observed.status === "restarting";
  return [observe(doomed, { status: "removing" }), waits ? [{ do: "cancel-restart" }] : []];
}

function engineStarted(record: ContainerRecord, reality: Reality, now: string): Transition {
  if (record.desired === "removed" || record.purpose === "build") {
    // Whether who removed it wanted its volumes gone as well is not known any more: they stay.
    const volumes = record.host.AutoRemove === true || record.purpose === "build";
    return [{ ...record, desired: "removed" }, [{ do: "release" }, { do: "remove", volumes }]];
  }
  switch (reality.state) {
    case "running":
    case "paused":
      return adopted(record, reality, now);
    case "stopped":
      return carriedOn(exited(isLive(record) ? record : adopted(record, noProcess, now)[0], reality));
    case "created":
    case "absent":
      return carriedOn(lost(record, now));
  }
}

const noProcess = { state: "running", pid: 0 } as const;

/** A process that outlived the engine, with its health; one launched while the engine died gets its start time now. */
function adopted(
  record: ContainerRecord,
  reality: { readonly state: "running" | "paused"; readonly pid: number },
  now: string,
): Transition {
  const { restartAt: _, ...kept } = record;
  const known = isLive(record);
  const health = known ? record.observed.health : freshHealth(record);
  const seen = observe(kept, {
    status: reality.state,
    pid: reality.pid,
    startedAt: known ? record.observed.startedAt : now,
    exitCode: 0,
    error: "",
    oomKilled: known && record.observed.oomKilled,
    ...(health !== undefined && { health }),
  });
  // The engine died between this decision and the end of the process.
  if (record.ending?.by === "unhealthy") return [seen, [{ do: "watch" }, { do: "end" }]];
  return [seen, [{ do: "watch" }, ...(reality.state === "running" ? probing(seen) : [])]];
}

/** No process is there. What the record still holds is given back, and the restart policy has its say. */
function lost(record: ContainerRecord, now: string): Transition {
  if (isLive(record)) {
    const ending: Ending = record.ending ?? { by: "lost", signal: 0, at: now };
    return exited({ ...record, ending }, { exitCode: lostExitCode, oomKilled: false, finishedAt: now });
  }
  if (record.observed.status === "restarting" && record.desired === "running") {
    const leftMs = Date.parse(record.restartAt ?? now) - Date.parse(now);
    const delayMs = Math.min(Math.max(0, leftMs), record.restartDelayMs);
    return [record, [{ do: "release" }, { do: "restart-after", delayMs }]];
  }
  if (record.desired === "running" && record.ending?.by === "restart") return [record, [{ do: "release" }]];
  if (comesBack(record))
    return [
      { ...record, desired: "running", manuallyStopped: false },
      [{ do: "release" }, { do: "restart-after", delayMs: 0 }],
    ];
  return [record.desired === "running" ? { ...record, desired: "stopped" } : record, [{ do: "release" }]];
}

/** A user's restart whose engine died when the old process had ended and no new one was there. */
function carriedOn([record, actions]: Transition): Transition {
  const halfway = record.desired === "running" && record.ending?.by === "restart";
  return halfway ? [record, [...actions, { do: "restart-after", delayMs: 0 }]] : [record, actions];
}
