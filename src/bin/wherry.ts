/** The command line's program. Owns: argv, the environment, the process's signals and its end. */

import type { CliIo } from "#cli/flags/command.ts";
import { runCli } from "#cli/run-cli.ts";
import { Fault } from "#spec/fault.ts";
import { version } from "./version.ts";

const io: CliIo = {
  // Made when it is asked for: most commands read nothing.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  onSignals: (names, handler) => {
    const listeners = names.map((name) => [name, () => handler(name)] as const);
    for (const [name, listener] of listeners) process.on(name, listener);
    return {
      [Symbol.dispose]: () => {
        for (const [name, listener] of listeners) process.off(name, listener);
      },
    };
  },
};

// Whoever reads has had enough, as behind `| head`.
process.stdout.on("error", () => process.exit(0));

let code: number;
try {
  const args = process.argv.slice(2);
  if (args[0] === "registry") {
    // The one group that has to do with no engine: loaded only for itself.
    const { registryCommand } = await import("./registry-commands.ts");
    code = await registryCommand(args.slice(1), io);
  } else code = await runCli(args, io, version);
} catch (thrown) {
  process.stderr.write(`wherry: ${Fault.from(thrown).message}\n`);
  code = 1;
}
process.exit(code);
