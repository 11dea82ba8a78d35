/** Pure. Option values in the forms Go reads them in, with the faults Go gives. */
import { Fault } from "#spec/fault.ts";

const truths: Readonly<Record<string, boolean>> = {
  ...{ "1": true, t: true, T: true, TRUE: true, true: true, True: true },
  ...{ "0": false, f: false, F: false, FALSE: false, false: false, False: false },
};

/** @throws Fault `invalid`. */
export function parseBoolean(text: string): boolean {
  const truth = truths[text];
  if (truth === undefined) throw syntax("ParseBool", text);
  return truth;
}

/** A decimal integer with an optional sign. @throws Fault `invalid`. */
export function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw syntax("Atoi", text);
  if (!Number.isSafeInteger(Number(text)))
    throw new Fault("invalid", `strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(text);
}

function syntax(of: string, text: string): Fault {
  return new Fault("invalid", `strconv.${of}: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** `20m` in bytes; `step` is 1000 where Docker counts in decimal units, 1024 where in binary ones. @throws Fault `invalid`. */
export function parseByteSize(text: string, step: 1000 | 1024): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text);
  if (match === null) throw new Fault("invalid", `invalid size: '${text}'`);
  const power = match[2] === undefined ? 0 : "kmgtp".indexOf(match[2].toLowerCase()) + 1;
  return Math.floor(Number(match[1]) * step ** power);
}

const unitMs: Readonly<Record<string, number>> = {
  ...{ h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 },
};

/** `1m30s` in milliseconds. @throws Fault `invalid`. */
export function parseDurationMs(text: string): number {
  if (text === "0") return 0;
  const match = /^([+-]?)((?:\d+(?:\.\d*)?(?:h|ms|m|s|us|µs|ns))+)$/.exec(text);
  if (match === null) throw new Fault("invalid", `time: invalid duration ${JSON.stringify(text)}`);
  let total = 0;
  for (const [, value = "0", unit = "s"] of (match[2] ?? "").matchAll(/(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)/g))
    total += Number(value) * (unitMs[unit] ?? 1);
  return match[1] === "-" ? -total : total;
}
