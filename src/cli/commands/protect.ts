/** `protect` and `unprotect`: the label that keeps volumes and containers from being removed, put on and taken off. */

import { type Command, forEach } from "#cli/flags/command.ts";
import type { Client } from "#client/client.ts";

function protecting(
  usage: string,
  on: boolean,
  of: (client: Client) => { protect(name: string, on: boolean): Promise<void> },
): Command {
  return {
    usage,
    flags: [],
    least: 1,
    run: async (o) => {
      const kind = of(await o.client());
      return await forEach(o, async (name) => void (await kind.protect(name, on)));
    },
  };
}

const containers = (on: boolean) => protecting("CONTAINER [CONTAINER...]", on, (client) => client.containers);
const volumes = (on: boolean) => protecting("VOLUME [VOLUME...]", on, (client) => client.volumes);

export const commands: Readonly<Record<string, Command>> = {
  "container protect": containers(true),
  "container unprotect": containers(false),
  "volume protect": volumes(true),
  "volume unprotect": volumes(false),
};
