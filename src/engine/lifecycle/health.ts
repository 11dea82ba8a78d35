/** Pure. A container's health, from what its probes say: Docker's rules (moby, daemon/health.go, as of 26). */
import type { ContainerRecord } from "#spec/container.ts";
import { type Health, type ProbeResult, parseProbe, type Timing, timingOf } from "#spec/health.ts";

/** How many results are remembered. */
const logMax = 5;

/** At the start of a run; what earlier runs left in the log stays. Undefined without a check. */
export function freshHealth({ config, observed }: ContainerRecord): Health | undefined {
  if (parseProbe(config.Healthcheck, config.Shell) === undefined) return undefined;
  return { status: "starting", failingStreak: 0, log: observed.health?.log ?? [] };
}

/** The health after one more look. Failures within the start period do not count before the first success. */
export function judged(before: Health, result: ProbeResult, timing: Timing, startedAt: string): Health {
  const log = [...before.log, result].slice(-logMax);
  if (result.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  const sinceStartMs = Date.parse(result.start) - Date.parse(startedAt);
  const excused = before.status === "starting" && sinceStartMs < timing.startPeriod;
  const failingStreak = before.failingStreak + (excused ? 0 : 1);
  const status = !excused && failingStreak >= timing.retries ? "unhealthy" : before.status;
  return { status, failingStreak, log };
}

/** Who is not probed cannot be called healthy: as in Docker, while it is paused and after its end. */
export function unwatched(health: Health | undefined): Health | undefined {
  return health === undefined ? undefined : { ...health, status: "unhealthy" };
}

/** Milliseconds until the next probe. */
export function untilNextProbe({ config, observed }: ContainerRecord, nowMs: number): number {
  const timing = timingOf(config.Healthcheck);
  const starting = observed.health?.status === "starting";
  const inStartPeriod = nowMs - Date.parse(observed.startedAt) < timing.startPeriod;
  return starting && inStartPeriod ? timing.startInterval : timing.interval;
}
