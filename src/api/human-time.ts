/**
 * Spans of time as people write and read them, and Docker's whole seconds.
 * Pure.
 */

/** Whole seconds since the epoch of an RFC 3339 time; 0 for none. */
export function timeToSeconds(time: string | undefined): number {
  if (time === undefined || time === "") return 0;
  return Math.floor(Date.parse(time) / 1000);
}

/** How long, for people, as in `Up 5 minutes`: the words of Docker's go-units. */
export function humanDuration(duration: number): string {
  const seconds = Math.floor(duration);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(seconds / 3600 / 24 / 365)} years`;
}

/** Seconds in one go duration such as `1h30m` or `90s`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const part = /([0-9]+(?:\.[0-9]*)?)(h|ms|m|s|us|µs|ns)/gy;
  const seconds: Readonly<Record<string, number>> = {
    h: 3600,
    m: 60,
    s: 1,
    ms: 1e-3,
    us: 1e-6,
    µs: 1e-6,
    ns: 1e-9,
  };
  let total = 0;
  let end = 0;
  for (const match of text.matchAll(part)) {
    total += Number(match[1]) * (seconds[match[2] ?? ""] ?? 0);
    end = match.index + match[0].length;
  }
  return end === text.length && end > 0 ? total : undefined;
}
