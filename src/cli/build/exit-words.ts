/** Pure. Exit codes and signals in words (signal(7); what shells and Docker use codes above 124 for). */

const signals: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  1: ["SIGHUP", "its terminal hung up, or it was to read its configuration again"],
  2: ["SIGINT", "interrupted, as by Ctrl-C"],
  3: ["SIGQUIT", "told to quit, as by Ctrl-\\"],
  4: ["SIGILL", "it ran an instruction this processor does not have"],
  5: ["SIGTRAP", "stopped at a breakpoint"],
  6: ["SIGABRT", "it gave itself up: a failed assertion, or memory found damaged"],
  7: ["SIGBUS", "it touched memory that is not there, such as a mapped file that was cut"],
  8: ["SIGFPE", "it divided by zero, or the like"],
  9: ["SIGKILL", "killed: no process can refuse that, or put anything in order first"],
  10: ["SIGUSR1", "a signal whose meaning is its own"],
  11: ["SIGSEGV", "it touched memory that is not its own: a bug in the program"],
  12: ["SIGUSR2", "a signal whose meaning is its own"],
  13: ["SIGPIPE", "it wrote to a pipe or connection that nobody reads any more"],
  14: ["SIGALRM", "a timer of its own went off"],
  15: ["SIGTERM", "asked to end"],
  24: ["SIGXCPU", "it used more processor time than its limit"],
  25: ["SIGXFSZ", "it wrote a file larger than its limit"],
  31: ["SIGSYS", "it made a system call that its seccomp profile forbids"],
};

/** `SIGTERM`; `signal 40` for one without a name of its own. */
export function signalName(signal: number): string {
  return signals[signal]?.[0] ?? `signal ${signal}`;
}

/** What a code says by convention; undefined where it says nothing but that it is not zero. */
export function exitMeaning(code: number): string | undefined {
  switch (code) {
    case 0:
      return "success";
    case 125:
      return "the container could not be started, or its program says so";
    case 126:
      return "the command was found but cannot be run: no permission, a directory, or for another machine";
    case 127:
      return "the command was not found: a wrong name, or a missing interpreter or library";
    case 128:
      return "the container could not be started";
    case 255:
      return "the end was not seen, or the program itself says -1";
  }
  const signal = code - 128;
  const known = signals[signal];
  if (known !== undefined) return `${known[0]}: ${known[1]}`;
  return signal > 0 && signal <= 64 ? signalName(signal) : undefined;
}
