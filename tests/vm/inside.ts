/** The program of the virtual machine: starts an engine and tells, one line each, which checks hold. */

import { securityChecks } from "./checks-security.ts";
import { type Check, unifiedChecks } from "./checks-unified.ts";
import { Guest } from "./guest.ts";

const checkMaxMs = 90_000;
const guest = new Guest();

function say(what: unknown): void {
  process.stdout.write(`VM: ${JSON.stringify(what)}\n`);
}

/** One check is one line: `VM: {"name":…,"ms":…,"error":…}`. */
async function tell(name: string, check: Check): Promise<void> {
  const from = performance.now();
  const error = await Promise.race([
    check(guest).then(
      () => undefined,
      (thrown: unknown) => (thrown instanceof Error ? `${thrown.message}\n${thrown.stack}` : String(thrown)),
    ),
    Bun.sleep(checkMaxMs).then(() => "did not end"),
  ]);
  say({ name, ms: Math.round(performance.now() - from), error });
}

await tell("the engine starts", async () => {
  await guest.start();
  await guest.importBusybox();
});
for (const [name, check] of Object.entries({ ...unifiedChecks, ...securityChecks })) await tell(name, check);
await guest.stop("SIGTERM");
say({ log: guest.log });
process.exit(0);
