/** Pure. Option values in the forms Go reads them in, with the faults Go gives. */
import { Fault } from "./fault.ts";

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
