/** Pure. Which signals STOPSIGNAL takes. */
import { Fault } from "#spec/fault.ts";

/** Linux's standard signals (signal(7)), without the prefix. */
const names =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  );
const others = ["IOT", "CLD", "POLL", "UNUSED", "RTMIN", "RTMAX"];
const realTime = /^RTM(?:IN\+(?:[1-9]|1[0-5])|AX-(?:[1-9]|1[0-4]))$/;
const highestSignal = 64;

/** @throws Fault `invalid` when it is neither a signal's name, with or without `SIG`, nor its number. */
export function checkStopSignal(signal: string): void {
  const name = signal.toUpperCase().replace(/^SIG/, "");
  const number = /^\d+$/.test(signal) ? Number(signal) : Number.NaN;
  if (number >= 1 && number <= highestSignal) return;
  if (names.includes(name) || others.includes(name) || realTime.test(name)) return;
  throw new Fault("invalid", `invalid signal: ${signal}`);
}
