/** `update`: limits, restart policy and published ports of containers, running or not. */
import { type Command, errorText, write } from "#cli/flags/command.ts";
import { limitFlags } from "#cli/flags/create-flags.ts";
import { FlagValues } from "#cli/flags/flag-values.ts";
import type { FlagSpec, Flags } from "#cli/flags/flags.ts";
import { publishedPorts } from "#cli/flags/port-flags.ts";
import { limitRequest, parseRestart } from "#cli/flags/resource-flags.ts";
import type { UpdateBody } from "#client/containers.ts";
import { Fault } from "#spec/fault.ts";

const flags: readonly FlagSpec[] = [
  ...limitFlags,
  { name: "kernel-memory", kind: "text", value: "bytes", help: "Kernel memory limit", hidden: true },
  { name: "publish-add", kind: "list", help: "Publish a port, also of a container that runs (as run -p)" },
  { name: "publish-rm", kind: "list", help: "Publish a port no more: [[IP:]HOST:]CONTAINER[/PROTOCOL]" },
  { name: "restart", kind: "text", help: "Restart policy for when the container exits" },
];

const update: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags,
  least: 1,
  run: async (o) => {
    if (flags.every(({ name }) => !o.flags.has(name)))
      throw new Fault("invalid", "you must provide one or more flags when using this command");
    const restart = o.flags.text("restart") ?? "";
    const body = {
      ...limitRequest(new FlagValues(o.flags, flags)),
      ...portChange(o.flags, "publish-add", "PublishAdd"),
      ...portChange(o.flags, "publish-rm", "PublishRm"),
      ...(restart !== "" && { RestartPolicy: parseRestart(restart) }),
    };
    const client = await o.client();
    const [warnings, failures]: [string[], string[]] = [[], []];
    for (const name of o.args) {
      try {
        warnings.push(...((await client.containers.update(name, body)).Warnings ?? []));
        await write(o.io.stdout, `${name}\n`);
      } catch (thrown) {
        failures.push(errorText(thrown));
      }
    }
    if (warnings.length > 0) await write(o.io.stdout, `${warnings.join("\n")}\n`);
    if (failures.length > 0) await write(o.io.stderr, `${failures.join("\n")}\n`);
    return failures.length > 0 ? 1 : 0;
  },
};

function portChange(flags: Flags, flag: string, field: "PublishAdd" | "PublishRm"): UpdateBody {
  return flags.has(flag) ? { [field]: publishedPorts(flags.list(flag)).bindings } : {};
}

export const commands: Readonly<Record<string, Command>> = { update };
