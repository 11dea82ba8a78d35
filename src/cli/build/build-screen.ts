/** Builds shown on the error stream, in the way that was asked for. */

import type { Invocation } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";
import { type BuildDisplay, displayOf } from "./build-display.ts";

/** @throws Fault `invalid` for a mode there is not. */
export function displayFor({ io, nowMs }: Pick<Invocation, "io" | "nowMs">, asked: string): BuildDisplay {
  const mode = asked === "auto" ? (io.stderr.isTTY ? "tty" : "plain") : asked;
  if (mode !== "plain" && mode !== "tty" && mode !== "rawjson")
    throw new Fault("invalid", `invalid progress mode ${asked}: want auto, plain, tty or rawjson`);
  const screen = {
    write: (text: string): void => void io.stderr.write(text),
    get columns() {
      return io.stderr.columns ?? 80;
    },
    get rows() {
      return io.stderr.rows ?? 24;
    },
  };
  return displayOf(mode, screen, nowMs);
}
