/** Signal names and numbers of Linux (signal(7)). Pure. */
import { Fault } from "#spec/fault.ts";

const names = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG " +
  "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");
const aliases: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29, UNUSED: 31 };
const realtimeMin = 34;
const realtimeMax = 64;

/**
 * The number for `SIGTERM`, `term`, `15`, `RTMIN+3` or `SIGRTMAX-1`.
 * @throws Fault `invalid` in Docker's words.
 */
export function signalNumber(text: string): number {
  const number = /^[0-9]+$/.test(text) ? Number(text) : byName(text.toUpperCase().replace(/^SIG/, ""));
  if (number === undefined || number < 1 || number > realtimeMax)
    throw new Fault("invalid", `invalid signal: ${text}`);
  return number;
}

function byName(name: string): number | undefined {
  const at = names.indexOf(name);
  if (at >= 0) return at + 1;
  const [, end, sign, offset = "0"] = /^RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?$/.exec(name) ?? [];
  if (end === "MIN" && sign !== "-") return within(realtimeMin + Number(offset));
  if (end === "MAX" && sign !== "+") return within(realtimeMax - Number(offset));
  return aliases[name];
}

function within(number: number): number | undefined {
  return number >= realtimeMin && number <= realtimeMax ? number : undefined;
}
