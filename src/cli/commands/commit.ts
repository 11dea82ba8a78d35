/** `commit` and `image squash`: images made of a container, or of an image's layers put into one. */
import { type Command, write } from "#cli/flags/command.ts";
import { splitTag } from "./images.ts";

const commit: Command = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  flags: [
    {
      name: "author",
      short: "a",
      kind: "text",
      help: 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")',
    },
    { name: "change", short: "c", kind: "list", help: "Apply Dockerfile instruction to the created image" },
    { name: "message", short: "m", kind: "text", help: "Commit message" },
    { name: "pause", short: "p", kind: "switch", help: "Pause container during commit (default true)" },
  ],
  least: 1,
  most: 2,
  run: async ({ args, client, flags, io }) => {
    const [container = "", reference] = args;
    const [repo, tag] = reference === undefined ? [undefined, undefined] : splitTag(reference);
    const id = await (await client()).archives.commit(container, {
      repo,
      tag,
      author: flags.text("author"),
      comment: flags.text("message"),
      changes: flags.list("change"),
      pause: !flags.has("pause") || flags.on("pause"),
    });
    await write(io.stdout, `${id}\n`);
    return 0;
  },
};

const squash: Command = {
  usage: "[OPTIONS] IMAGE",
  flags: [{ name: "tag", short: "t", kind: "text", help: "Name and optionally a tag of the new image" }],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const id = await (await client()).images.squash(args[0] ?? "", { name: flags.text("tag") });
    await write(io.stdout, `${id}\n`);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { commit, squash };
