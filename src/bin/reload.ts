/**
 * What an engine takes over from its configuration file while it runs, when it is sent SIGHUP.
 * Owns: the signal. Promises: a file that cannot be read or is wrong changes nothing, and is told of.
 */
import { Fault } from "#spec/fault.ts";
import type { DaemonOptions } from "./daemon-options.ts";

/** The rest of the options is taken at the next start. */
export type Changeable = { -readonly [Key in "debug" | "labels"]: DaemonOptions[Key] };

/** `current` is changed in place, then `changed` is called. Until disposed. */
export function reloadOnSignal(o: {
  readonly current: Changeable;
  /** @throws Fault that says what is wrong. */
  readonly read: () => Changeable;
  readonly changed: (attributes: Readonly<Record<string, string>>) => void;
  readonly log: (line: string) => void;
}): Disposable {
  const reload = (): void => {
    try {
      const { debug, labels } = o.read();
      Object.assign(o.current, { debug, labels });
    } catch (thrown) {
      o.log(`the configuration stays as it was: ${Fault.from(thrown).message}`);
      return;
    }
    o.log("took labels and debug over from the configuration; other options wait for the next start");
    o.changed({ debug: String(o.current.debug), labels: JSON.stringify(o.current.labels) });
  };
  process.on("SIGHUP", reload);
  return { [Symbol.dispose]: () => void process.off("SIGHUP", reload) };
}
