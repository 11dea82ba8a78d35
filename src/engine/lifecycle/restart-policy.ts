/** Pure. Whether and when a container that ended comes back: Docker's restart policies, their back-off and its reset. */
import type { ContainerRecord, Ending, RestartPolicy } from "#spec/container.ts";

/** The first delay, its ceiling, and the run time after which it starts over. */
export const restartDelayFirstMs = 100;
export const restartDelayMaxMs = 60_000;
export const restartResetAfterMs = 10_000;

/** Whether the policy brings the container back after its run ended with this code. */
export function wantsRestart(record: ContainerRecord, exitCode: number, ending?: Ending): boolean {
  if (record.manuallyStopped || record.desired !== "running") return false;
  switch (policyOf(record).Name) {
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return exitCode !== 0 && mayTryAgain(record);
    case "on-unhealthy":
      return (exitCode !== 0 || ending?.by === "unhealthy") && mayTryAgain(record);
    default:
      return false;
  }
}

/** Whether the policy ends a run that turned unhealthy. When its tries are used up, the container is left as it is. */
export function endsUnhealthy(record: ContainerRecord): boolean {
  return policyOf(record).Name === "on-unhealthy" && record.desired === "running" && mayTryAgain(record);
}

/** Whether an engine that comes back starts the container, which is at rest. `always` does even after a manual stop. */
export function comesBack(record: ContainerRecord): boolean {
  const { Name } = policyOf(record);
  const wasRun = record.run > 0;
  return wasRun && (Name === "always" || (Name === "unless-stopped" && !record.manuallyStopped));
}

/** Milliseconds before the next restart, after a run of `ranMs`. */
export function nextDelay(previousMs: number, ranMs: number): number {
  if (previousMs === 0 || ranMs >= restartResetAfterMs) return restartDelayFirstMs;
  return Math.min(previousMs * 2, restartDelayMaxMs);
}

function policyOf(record: ContainerRecord): RestartPolicy {
  return record.host.RestartPolicy ?? {};
}

function mayTryAgain(record: ContainerRecord): boolean {
  const most = policyOf(record).MaximumRetryCount ?? 0;
  return most === 0 || record.restartCount < most;
}
