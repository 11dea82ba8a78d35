/**
 * The filters of the prune operations.
 * Pure.
 */
import { Fault } from "#spec/fault.ts";
import { matchesLabels, parseFilters } from "#spec/filters.ts";
import { goDurationOrNone } from "#spec/go-duration.ts";
import { isProtected } from "#spec/protection.ts";
import { parseUnixTime } from "#spec/unix-time.ts";

/** What prune filters look at. */
export interface Prunable {
  /** RFC 3339. */
  readonly created: string;
  readonly labels?: Readonly<Record<string, string>> | null | undefined;
}

/**
 * A test for "this may go": not protected, older than `until`, with all of `label` and none of `label!`.
 * @throws Fault `invalid` for unknown keys and times.
 */
export function pruneTest(
  filters: string | undefined,
  allowed: readonly string[],
  nowMs: number,
): (candidate: Prunable) => boolean {
  const parsed = parseFilters(filters, allowed);
  const { until: moments = [], label: present, "label!": absent = [] } = parsed;
  const early = untilTest(moments, nowMs);
  return ({ created, labels }) =>
    !isProtected(labels) &&
    early(created) &&
    matchesLabels(present, labels) &&
    !absent.some((label) => matchesLabels([label], labels));
}

/** A test for "made before", as the `until` filter says it. @throws Fault `invalid` for what is no time, or several. */
export function untilTest(
  moments: readonly string[] | undefined,
  nowMs: number,
): (created: string) => boolean {
  const [until, ...more] = moments ?? [];
  if (more.length > 0) throw new Fault("invalid", "more than one until filter specified");
  const untilMs = until === undefined ? Number.POSITIVE_INFINITY : moment(until, nowMs);
  return (created) => Date.parse(created) < untilMs;
}

/** A time, or how long ago. Days, hours and minutes without a zone are those of this machine. */
function moment(text: string, nowMs: number): number {
  const nanoseconds = text === "0" ? undefined : goDurationOrNone(text);
  if (nanoseconds !== undefined) return nowMs - nanoseconds / 1e6;
  const local = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2}(?:\.\d+)?))?)?)?$/.exec(text);
  const [, day, hour = "00", minute = "00", second = "00"] = local ?? [];
  const localMs = day === undefined ? Number.NaN : Date.parse(`${day}T${hour}:${minute}:${second}`);
  if (!Number.isNaN(localMs)) return localMs;
  try {
    return Number((parseUnixTime(text) ?? 0n) / 1_000_000n);
  } catch (cause) {
    throw new Fault("invalid", `failed to parse value as time or duration: ${JSON.stringify(text)}`, {
      cause,
    });
  }
}
