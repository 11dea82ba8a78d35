/** Commands that change what containers do, each for several containers. */
import { type Command, forEach, type Invocation, write } from "#cli/flags/command.ts";
import type { FlagSpec } from "#cli/flags/flags.ts";
import { anonymousVolumesOf, dryRunFlag, leavingText, newRemoval, nowFlag } from "#cli/terminal/removal.ts";
import { Fault } from "#spec/fault.ts";

const timeFlag: FlagSpec = {
  name: "timeout",
  short: "t",
  kind: "text",
  value: "int",
  help: "Seconds to wait before killing the container",
};
const timeAlias: FlagSpec = {
  name: "time",
  kind: "text",
  value: "int",
  help: "Seconds to wait before killing the container",
};
const signalFlag: FlagSpec = {
  name: "signal",
  short: "s",
  kind: "text",
  help: "Signal to send to the container",
};

function secondsOf({ flags }: Invocation): number | undefined {
  const text = flags.text("timeout") ?? flags.text("time");
  if (text !== undefined && !/^-?\d+$/.test(text))
    throw new Fault(
      "invalid",
      `invalid argument "${text}" for "-t, --timeout" flag: want a number of seconds`,
    );
  return text === undefined ? undefined : Number(text);
}

const usage = "[OPTIONS] CONTAINER [CONTAINER...]";

const stop: Command = {
  usage,
  flags: [timeFlag, timeAlias, signalFlag],
  least: 1,
  run: async (o) => {
    const [client, seconds, signal] = [await o.client(), secondsOf(o), o.flags.text("signal")];
    return await forEach(o, async (name) => void (await client.containers.stop(name, { seconds, signal })));
  },
};

const restart: Command = {
  usage,
  flags: [timeFlag, timeAlias, signalFlag],
  least: 1,
  run: async (o) => {
    const [client, seconds, signal] = [await o.client(), secondsOf(o), o.flags.text("signal")];
    return await forEach(
      o,
      async (name) => void (await client.containers.restart(name, { seconds, signal })),
    );
  },
};

const kill: Command = {
  usage,
  flags: [signalFlag],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const signal = o.flags.text("signal") ?? "KILL";
    return await forEach(o, async (name) => void (await client.containers.kill(name, signal)));
  },
};

const pause: Command = {
  usage: "CONTAINER [CONTAINER...]",
  flags: [],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    return await forEach(o, async (name) => void (await client.containers.pause(name)));
  },
};

const unpause: Command = {
  usage: "CONTAINER [CONTAINER...]",
  flags: [],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    return await forEach(o, async (name) => void (await client.containers.unpause(name)));
  },
};

const rename: Command = {
  usage: "CONTAINER NEW_NAME",
  flags: [],
  least: 2,
  most: 2,
  run: async (o) => {
    const [container = "", name = ""] = o.args;
    await (await o.client()).containers.rename(container, name);
    return 0;
  },
};

const rm: Command = {
  usage,
  flags: [
    {
      name: "force",
      short: "f",
      kind: "switch",
      help: "Force the removal of a running container (uses SIGKILL)",
    },
    { name: "link", short: "l", kind: "switch", help: "Remove the specified link" },
    {
      name: "volumes",
      short: "v",
      kind: "switch",
      help: "Remove anonymous volumes associated with the container",
    },
    nowFlag,
    { ...dryRunFlag, help: "Show which volumes would go with -v, and do nothing" },
  ],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const [force, volumes, link] = [o.flags.on("force"), o.flags.on("volumes"), o.flags.on("link")];
    const how = { force, volumes, link, now: o.flags.on("now"), removal: newRemoval() };
    const dryRun = o.flags.on("dry-run");
    // Scripts get what docker prints; people see what goes.
    if (dryRun || (volumes && o.io.stderr.isTTY)) {
      const leaving = await anonymousVolumesOf(client, o.args);
      await write(dryRun ? o.io.stdout : o.io.stderr, leavingText(leaving, o.nowMs()));
    }
    if (dryRun) return 0;
    return await forEach(o, async (name) => {
      try {
        await client.containers.remove(name, how);
      } catch (thrown) {
        // As docker: what is gone already is what force wanted.
        if (!force || Fault.from(thrown).kind !== "not-found") throw thrown;
      }
      return name;
    });
  },
};

const wait: Command = {
  usage: "CONTAINER [CONTAINER...]",
  flags: [],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    return await forEach(o, async (name) => {
      const { exit } = await client.containers.wait(name);
      return String((await exit).StatusCode);
    });
  },
};

export const commands: Readonly<Record<string, Command>> = {
  stop,
  restart,
  kill,
  pause,
  unpause,
  rename,
  rm,
  wait,
};
