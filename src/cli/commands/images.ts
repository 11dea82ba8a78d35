/** Commands about images. */
import {
  type Command,
  errorText,
  filterFlag,
  filtersOf,
  formatFlag,
  type Invocation,
  noTruncFlag,
  quietFlag,
  write,
} from "#cli/flags/command.ts";
import { platformJson } from "#cli/flags/platform-flag.ts";
import { humanSize, shownId, timeAgo } from "#cli/flags/units.ts";
import { imageRows, imageTree } from "#cli/terminal/image-rows.ts";
import { readInput } from "#cli/terminal/input-file.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import { ellipsis, formatTable } from "#cli/terminal/table.ts";
import type { HistoryItem } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { parseReference } from "#spec/reference.ts";

const headers = {
  ID: "IMAGE ID",
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  Containers: "CONTAINERS",
} as const;
const imageFields = ["Repository", "Tag", "ID", "CreatedSince", "Size"] as const;
const digestFields = ["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"] as const;

const images: Command = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  flags: [
    { name: "all", short: "a", kind: "switch", help: "Show all images (default hides intermediate images)" },
    { name: "digests", kind: "switch", help: "Show digests" },
    filterFlag,
    formatFlag,
    noTruncFlag,
    quietFlag,
    { name: "tree", kind: "switch", help: "List the platforms of each image as a tree" },
  ],
  least: 0,
  most: 1,
  run: async ({ args, client, flags, io, nowMs }) => {
    const filters = filtersOf(flags.list("filter"));
    const [reference] = args;
    if (reference !== undefined) filters["reference"] = [reference];
    const [digests, tree] = [flags.on("digests"), flags.on("tree")];
    const list = await (await client()).images.list({ all: flags.on("all"), filters, manifests: tree });
    if (tree) {
      await write(io.stdout, formatTable(imageTree(list)));
      return 0;
    }
    const o = { whole: flags.on("no-trunc"), digests, nowMs: nowMs() };
    const rows = list.flatMap((image) => imageRows(image, o));
    if (flags.on("quiet")) {
      await write(io.stdout, [...new Set(rows.map(({ ID }) => `${ID}\n`))].join(""));
      return 0;
    }
    const shown = digests ? digestFields : imageFields;
    const columns = shown.map((field) => ({ header: headers[field], field }));
    await write(io.stdout, formatRows(rows, columns, { format: flags.text("format"), headers }));
    return 0;
  },
};

const rmi: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    { name: "force", short: "f", kind: "switch", help: "Force removal of the image" },
    { name: "no-prune", kind: "switch", help: "Do not delete untagged parents" },
  ],
  least: 1,
  run: async ({ args, client, flags, io }) => {
    const engine = await client();
    let failed = false;
    for (const name of args) {
      try {
        const removed = await engine.images.remove(name, {
          force: flags.on("force"),
          noPrune: flags.on("no-prune"),
        });
        for (const each of removed)
          await write(
            io.stdout,
            "Untagged" in each ? `Untagged: ${each.Untagged}\n` : `Deleted: ${each.Deleted}\n`,
          );
      } catch (thrown) {
        failed = !(flags.on("force") && Fault.from(thrown).kind === "not-found") || failed;
        await write(io.stderr, `${errorText(thrown)}\n`);
      }
    }
    return failed ? 1 : 0;
  },
};

const tag: Command = {
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  flags: [],
  least: 2,
  most: 2,
  run: async ({ args, client }) => {
    const [source = "", target = ""] = args;
    const [repo, name] = splitTag(target);
    await (await client()).images.tag(source, repo, name ?? "latest");
    return 0;
  },
};

/** @throws Fault `invalid` for what is no name. */
export function splitTag(text: string): [repository: string, tag: string | undefined] {
  parseReference(text);
  const colon = text.lastIndexOf(":");
  return colon > text.lastIndexOf("/") ? [text.slice(0, colon), text.slice(colon + 1)] : [text, undefined];
}

interface HistoryRow {
  readonly ID: string;
  readonly CreatedSince: string;
  readonly CreatedAt: string;
  readonly CreatedBy: string;
  readonly Size: string;
  readonly Comment: string;
}

const historyHeaders = {
  ID: "IMAGE",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  Size: "SIZE",
  Comment: "COMMENT",
} as const;
const historyFields = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"] as const;

function historyRow(item: HistoryItem, { flags, nowMs }: Invocation): HistoryRow {
  const whole = flags.on("no-trunc");
  const by = item.CreatedBy.replaceAll("\t", " ");
  const human = flags.text("human") !== "false";
  return {
    ID: item.Id === "<missing>" ? item.Id : shownId(item.Id, whole),
    CreatedSince: human ? timeAgo(item.Created, nowMs()) : new Date(item.Created * 1000).toISOString(),
    CreatedAt: new Date(item.Created * 1000).toISOString(),
    CreatedBy: whole ? by : ellipsis(by, 45),
    Size: human ? humanSize(item.Size) : String(item.Size),
    Comment: item.Comment,
  };
}

const history: Command = {
  usage: "[OPTIONS] IMAGE",
  flags: [
    formatFlag,
    { name: "human", short: "H", kind: "switch", help: "Print sizes and dates in human readable format" },
    noTruncFlag,
    { name: "platform", kind: "text", help: "Show history for the given platform" },
    { ...quietFlag, help: "Only show image IDs" },
  ],
  least: 1,
  most: 1,
  run: async (o) => {
    const items = await (await o.client()).images.history(o.args[0] ?? "", {
      platform: platformJson(o.flags.text("platform")),
    });
    const rows = items.map((item) => historyRow(item, o));
    if (o.flags.on("quiet")) {
      await write(o.io.stdout, rows.map(({ ID }) => `${ID}\n`).join(""));
      return 0;
    }
    const columns = historyFields.map((field) => ({ header: historyHeaders[field], field }));
    await write(
      o.io.stdout,
      formatRows(rows, columns, { format: o.flags.text("format"), headers: historyHeaders }),
    );
    return 0;
  },
};

const importImage: Command = {
  usage: "[OPTIONS] file|- [REPOSITORY[:TAG]]",
  flags: [
    { name: "change", short: "c", kind: "list", help: "Apply Dockerfile instruction to the created image" },
    { name: "message", short: "m", kind: "text", help: "Set commit message for imported image" },
    { name: "platform", kind: "text", help: "Set platform if server is multi-platform capable" },
  ],
  least: 1,
  most: 2,
  run: async ({ args, client, flags, io }) => {
    const [source = "-", reference] = args;
    if (/^https?:\/\//.test(source))
      throw new Fault(
        "unsupported",
        "importing from an address is not supported: fetch the file and import that",
      );
    const [repo, name] = reference === undefined ? [undefined, undefined] : splitTag(reference);
    const tar = readInput(io, source === "-" ? undefined : source);
    const messages = (await client()).images.import(tar, {
      repo,
      tag: name,
      changes: flags.list("change"),
      message: flags.text("message"),
      platform: flags.text("platform"),
    });
    for await (const message of messages) {
      if (message.error !== undefined) throw new Fault("internal", message.error);
      if (message.status !== undefined) await write(io.stdout, `${message.status}\n`);
    }
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { images, rmi, tag, history, import: importImage };
