/** Pure. HEALTHCHECK's grammar, and how Docker prints one in an image's history. */
import { Fault } from "#spec/fault.ts";
import { formatGoDuration, parseGoDuration } from "#spec/go-duration.ts";
import { goQuote, goQuoteList, goQuoteRune } from "#spec/go-quote.ts";
import type { Healthcheck } from "#spec/image.ts";
import { readFlags } from "./flags.ts";
import { jsonWords } from "./words.ts";

const flagTypes = {
  interval: "text",
  timeout: "text",
  "start-period": "text",
  "start-interval": "text",
  retries: "text",
} as const;

/** Docker's least period. */
const leastNanoseconds = 1e6;

/** The check and the names of the flags used. @throws Fault `invalid` in Docker's words. */
export function parseHealthcheck(
  rest: string,
  flagWords: readonly string[],
): [Healthcheck, readonly string[]] {
  if (rest === "") throw new Fault("invalid", "HEALTHCHECK requires at least one argument");
  const [, word = "", command = ""] = /^(\S+)\s*(.*)$/s.exec(rest) ?? [];
  const type = word.toUpperCase();
  if (type === "NONE") {
    readFlags(flagWords, {});
    if (command !== "") throw new Fault("invalid", "HEALTHCHECK NONE takes no arguments");
    return [{ Test: ["NONE"] }, []];
  }
  const flags = readFlags(flagWords, flagTypes);
  if (type !== "CMD") throw new Fault("invalid", `Unknown type ${goQuote(type)} in HEALTHCHECK (try CMD)`);
  const exec = jsonWords(command);
  if (exec?.length === 0 || command === "")
    throw new Fault("invalid", "Missing command after HEALTHCHECK CMD");
  const check: Healthcheck = {
    Test: exec === undefined ? ["CMD-SHELL", command] : ["CMD", ...exec],
  };
  const periods = {
    Interval: period("interval", flags.text("interval")),
    Timeout: period("timeout", flags.text("timeout")),
    StartPeriod: period("start-period", flags.text("start-period")),
    StartInterval: period("start-interval", flags.text("start-interval")),
    Retries: retries(flags.text("retries")),
  };
  // Zero means the engine's default, and Docker leaves it out of the image.
  for (const [name, value] of Object.entries(periods))
    if (value !== 0) Object.assign(check, { [name]: value });
  return [check, flags.used];
}

/** `&{Test:[CMD-SHELL x] Interval:30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}`. */
export function formatHealthcheck(check: Healthcheck): string {
  const duration = (nanoseconds: number | undefined) => formatGoDuration(nanoseconds ?? 0);
  return `&{Test:[${(check.Test ?? []).join(" ")}] Interval:${duration(check.Interval)} Timeout:${duration(check.Timeout)} StartPeriod:${duration(check.StartPeriod)} StartInterval:${duration(check.StartInterval)} Retries:${check.Retries ?? 0}}`;
}

/** The same in BuildKit's words: Go's `%q` of the values. */
export function quoteHealthcheck(check: Healthcheck): string {
  const duration = (nanoseconds: number | undefined) => goQuote(formatGoDuration(nanoseconds ?? 0));
  const periods = [check.Interval, check.Timeout, check.StartPeriod, check.StartInterval].map(duration);
  return `&{${goQuoteList(check.Test ?? [])} ${periods.join(" ")} ${goQuoteRune(check.Retries ?? 0)}}`;
}

function period(name: string, text: string): number {
  if (text === "") return 0;
  const nanoseconds = parseGoDuration(text);
  if (nanoseconds !== 0 && nanoseconds < leastNanoseconds)
    throw new Fault("invalid", `Interval ${goQuote(name)} cannot be less than 1ms`);
  return nanoseconds;
}

function retries(text: string): number {
  if (text === "") return 0;
  if (!/^[+-]?\d+$/.test(text))
    throw new Fault("invalid", `strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
  const count = Number(text);
  if (count < 0) throw new Fault("invalid", `--retries cannot be negative (${count})`);
  return count;
}
