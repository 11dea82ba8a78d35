/**
 * The local terminal as a mere channel for one elsewhere: what is typed goes there as it is, what comes is shown as it is.
 * Promises: the terminal is as it was when this is disposed of.
 */
import { spawn } from "node:child_process";
import type { CliIo } from "#cli/flags/command.ts";

/** Does nothing where stdin is no terminal. */
export async function enterRawMode({ stdin }: Pick<CliIo, "stdin">): Promise<AsyncDisposable> {
  if (!stdin.isTTY) return { [Symbol.asyncDispose]: async () => undefined };
  stdin.setRawMode(true);
  // Node's raw mode goes on making CR LF of the LF with which programs move the cursor down.
  await stty("-opost");
  return {
    [Symbol.asyncDispose]: async () => {
      await stty("opost");
      stdin.setRawMode(false);
    },
  };
}

/** Best effort: without stty(1) lines are shown as before. */
async function stty(setting: string): Promise<void> {
  const child = spawn("stty", [setting], { stdio: ["inherit", "ignore", "ignore"] });
  await new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
}
