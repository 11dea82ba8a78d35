/** `build`: an image from a directory with a Dockerfile in it. */

import { contextTar } from "#cli/build-context.ts";
import { type Command, write } from "#cli/command.ts";
import { headerForAll } from "#cli/credentials.ts";
import { Fault } from "#spec/fault.ts";

const build: Command = {
  usage: "[OPTIONS] PATH | -",
  flags: [
    { name: "build-arg", kind: "list", help: "Set build-time variables" },
    { name: "file", short: "f", kind: "text", help: 'Name of the Dockerfile (default: "PATH/Dockerfile")' },
    { name: "label", kind: "list", help: "Set metadata for an image" },
    { name: "network", kind: "text", help: "Set the networking mode for the RUN instructions during build" },
    { name: "no-cache", kind: "switch", help: "Do not use cache when building the image" },
    { name: "platform", kind: "text", help: "Set target platform for build" },
    { name: "pull", kind: "switch", help: "Always attempt to pull a newer version of the image" },
    {
      name: "quiet",
      short: "q",
      kind: "switch",
      help: "Suppress the build output and print image ID on success",
    },
    { name: "rm", kind: "switch", help: "Remove intermediate containers after a successful build (always)" },
    { name: "tag", short: "t", kind: "list", help: 'Name and optionally a tag in the "name:tag" format' },
    { name: "target", kind: "text", help: "Set the target build stage to build" },
  ],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const [path = "."] = args;
    const engine = await client();
    const context =
      path === "-"
        ? { tar: io.stdin as AsyncIterable<Uint8Array>, dockerfile: flags.text("file") ?? "Dockerfile" }
        : await contextTar(path, flags.text("file"), io.cwd);
    const quiet = flags.on("quiet");
    const messages = engine.images.build(context.tar, {
      dockerfile: context.dockerfile,
      tags: flags.list("tag"),
      buildArgs: pairs(flags.list("build-arg"), (name) => io.env[name] ?? null),
      labels: pairs(flags.list("label"), () => "") as Record<string, string>,
      target: flags.text("target"),
      noCache: flags.on("no-cache"),
      networkMode: flags.text("network"),
      platform: flags.text("platform"),
      quiet,
      pull: flags.on("pull"),
      registryConfig: await headerForAll(io),
    });
    for await (const { stream, status, id, progressDetail, error, errorDetail } of messages) {
      if (stream !== undefined) await write(io.stdout, stream);
      if (status !== undefined && progressDetail?.current === undefined && !quiet)
        await write(io.stdout, `${id === undefined ? "" : `${id}: `}${status}\n`);
      if (error === undefined) continue;
      await write(io.stderr, `${error}\n`);
      return errorDetail?.code ?? 1;
    }
    return 0;
  },
};

/** `KEY=VALUE`, or `KEY` alone. */
function pairs(
  texts: readonly string[],
  fallback: (name: string) => string | null,
): Record<string, string | null> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at === 0)
        throw new Fault("invalid", `invalid argument ${JSON.stringify(text)}: the name is missing`);
      return at < 0 ? [text, fallback(text)] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

export const commands: Readonly<Record<string, Command>> = { build };
