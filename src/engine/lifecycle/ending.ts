/**
 * Ends a container's process: a signal, the grace, then SIGKILL.
 * Promises: returns when the end was seen. Never: holds the container's turn while it waits.
 */

import { abortable } from "#engine/abortable.ts";
import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { RuntimePart, Waiting } from "#engine/parts.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { ContainerIndex } from "./container-index.ts";
import { isLive } from "./lifecycle.ts";
import { signalNumber } from "./signals.ts";

/** Docker's grace before SIGKILL when neither request nor container says otherwise. */
const stopTimeoutSeconds = 10;
/** How long the end of a killed process is waited for. */
const killWaitMs = 10_000;
const sigkill = 9;
/** Longer, and a timer would be over at once. */
const timerMaxMs = 2 ** 31 - 1;

export interface EndingParts {
  readonly index: ContainerIndex;
  readonly runtime: Pick<RuntimePart, "signal">;
  readonly emit: Emit;
}

export interface EndingOptions extends Waiting {
  /** Settles with the end of the process, whoever brings it about. */
  readonly ended: Promise<unknown>;
  /** Absent: the container's own. */
  readonly timeoutSeconds?: number | undefined;
  readonly signalNumber?: number | undefined;
  /** Called behind the signal: a frozen process sees it only when it thaws. */
  readonly thaw?: () => Promise<void>;
}

/** The signal that asks a container to end. @throws Fault `invalid` for what is none. */
export function stopSignalOf(record: ContainerRecord, asked?: string): number {
  return signalNumber(asked || record.config.StopSignal || "SIGTERM");
}

/** @throws Fault `timeout` when the process outlives SIGKILL; the signal's reason. */
export async function endProcess(
  parts: EndingParts,
  record: ContainerRecord,
  o: EndingOptions,
): Promise<void> {
  const grace = o.timeoutSeconds ?? record.config.StopTimeout ?? stopTimeoutSeconds;
  await sendSignal(parts, record, o.signalNumber ?? stopSignalOf(record));
  await o.thaw?.();
  if (await settled(o.ended, grace < 0 ? undefined : grace * 1000, o.signal)) return;
  await killProcess(parts, record, o);
}

/** @throws Fault `timeout`, and the signal's reason. */
export async function killProcess(
  parts: EndingParts,
  record: ContainerRecord,
  o: Pick<EndingOptions, "ended" | "signal">,
): Promise<void> {
  await sendSignal(parts, record, sigkill);
  if (await settled(o.ended, killWaitMs, o.signal)) return;
  throw new Fault("timeout", `tried to kill container ${record.id}, but did not receive an exit event`);
}

/** Nothing when there is no process any more. */
export async function sendSignal(parts: EndingParts, record: ContainerRecord, signal: number): Promise<void> {
  const current = parts.index.find(record.id);
  if (current === undefined || !isLive(current)) return;
  await parts.runtime.signal(record.id, signal);
  parts.emit("container", "kill", record.id, { ...containerAttributes(current), signal: String(signal) });
}

/** False when the time is over first. */
async function settled(
  done: Promise<unknown>,
  withinMs: number | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer =
    withinMs === undefined ? undefined : setTimeout(() => resolve(false), Math.min(withinMs, timerMaxMs));
  try {
    return await abortable(Promise.race([done.then(() => true), late]), signal);
  } finally {
    clearTimeout(timer);
  }
}
