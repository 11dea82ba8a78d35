/** `builder history`: builds that were made, as `docker buildx history` shows them. */
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { displayFor } from "#cli/build/build-screen.ts";
import { allAttachments, attachmentOf, typeOf } from "#cli/build/history-attachments.ts";
import { bundleRecords } from "#cli/build/history-bundle.ts";
import { historyFilters } from "#cli/build/history-filters.ts";
import { inspectDocument, withoutEmpty } from "#cli/build/history-inspect.ts";
import { historyPage } from "#cli/build/history-page.ts";
import {
  buildName,
  chosenRecord,
  durationMs,
  fullRef,
  type LocalState,
  shownDuration,
  shownStatus,
  started,
} from "#cli/build/history-record.ts";
import { type CliIo, type Command, type Invocation, noTruncFlag, write } from "#cli/flags/command.ts";
import { timeAgo } from "#cli/flags/units.ts";
import { configDirectory } from "#cli/place/config-directory.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import { localTime } from "#cli/terminal/timestamp.ts";
import type { BuildHistoryClient } from "#client/build-history.ts";
import type { HistoryRead } from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";
import { RpcStatus } from "#spec/grpc-status.ts";
import { compileTemplate } from "#spec/template.ts";

/** Asked for at once, as buildx. */
const recordsMax = 50;
const nameWidth = 36;
/** Of what a failed step wrote. */
const failedLinesMax = 16;

const headers = {
  ...{ Ref: "BUILD ID", Name: "NAME", Status: "STATUS", CreatedAt: "CREATED AT" },
  ...{ Duration: "DURATION", FullRef: "FULLREF" },
};

const ls: Command = {
  usage: "[OPTIONS]",
  flags: [
    {
      name: "filter",
      kind: "list",
      value: "stringArray",
      help: 'Provide filter values (e.g., "status=error")',
    },
    { name: "format", kind: "text", help: 'Format the output (default "table")' },
    noTruncFlag,
  ],
  least: 0,
  most: 0,
  run: async (o) =>
    await asking(o, async (history) => {
      const { flags, io, nowMs } = o;
      const filters = historyFilters(flags.list("filter"));
      const records = await history.list({ filters, limit: recordsMax });
      const sorted = records.sort((left, right) => order(left) - order(right));
      const format = flags.text("format");
      const named = await Promise.all(
        sorted.map(async (record) => ({ record, name: buildName(record, await stateOf(io, record.Ref)) })),
      );
      if (format === "json") {
        for (const { record, name } of named)
          await write(io.stdout, `${JSON.stringify(listed(record, name))}\n`);
        return 0;
      }
      const isTable = (format ?? "table").startsWith("table");
      const rows = named.map(({ record, name }) => ({
        ...{ Ref: record.Ref, FullRef: fullRef(record.Ref) },
        Name: isTable && !flags.on("no-trunc") ? trimBeginning(name) : name,
        Status: shownStatus(record),
        CreatedAt: timeAgo(Number(started(record) / 1_000_000n) / 1000, nowMs()),
        Duration: shownDuration(durationMs(record, nowMs())) + (record.CompletedAt === undefined ? "+" : ""),
      }));
      const columns = (["Ref", "Name", "Status", "CreatedAt", "Duration"] as const).map((field) => ({
        field,
        header: headers[field],
      }));
      await write(io.stdout, formatRows(rows, columns, { format, headers }));
      return 0;
    }),
};

/** Those that run first, then the newest. */
function order(record: HistoryRead): number {
  const running = record.CompletedAt === undefined ? 1 : 0;
  return -(running * 1e16 + Number(started(record) / 1_000_000n));
}

function listed(record: HistoryRead, name: string): object {
  const { Ref, numTotalSteps, numCompletedSteps, numCachedSteps, CompletedAt } = record;
  return {
    ...(CompletedAt !== undefined && { completed_at: localTime(CompletedAt) }),
    ...{ cached_steps: numCachedSteps, completed_steps: numCompletedSteps },
    ...{ created_at: localTime(started(record)), name, ref: fullRef(Ref) },
    ...{ status: shownStatus(record), total_steps: numTotalSteps },
  };
}

function trimBeginning(name: string): string {
  return name.length <= nameWidth ? name : `..${name.slice(name.length - nameWidth + 2)}`;
}

const logs: Command = {
  usage: "[OPTIONS] [REF]",
  flags: [
    {
      ...{ name: "progress", kind: "text" },
      help: 'Set type of progress output (plain, rawjson, tty) (default "plain")',
    },
  ],
  least: 0,
  most: 1,
  run: async (o) =>
    await asking(o, async (history) => {
      const { Ref } = await recordOf(history, o.args[0] ?? "");
      const asked = o.flags.text("progress") ?? "plain";
      const display = displayFor(o, asked === "auto" ? "plain" : asked);
      for await (const message of history.told(Ref)) display.take(message);
      display.end();
      return 0;
    }),
};

const inspect: Command = {
  usage: "[OPTIONS] [REF]",
  flags: [{ name: "format", kind: "text", help: 'Format the output (default "pretty")' }],
  least: 0,
  most: 1,
  run: async (o) =>
    await asking(o, async (history) => {
      const { io, flags, nowMs } = o;
      const ref = o.args[0] ?? "";
      const record = await recordOf(history, ref);
      const { externalError } = record;
      const attachments = await allAttachments(history, record);
      const error = externalError && RpcStatus.decode(await history.read(externalError.digest));
      const document = inspectDocument({
        ...{ record, error, cwd: io.cwd, nowMs: nowMs(), state: await stateOf(io, record.Ref) },
        ownPlatform: await history.ownPlatform(),
        attachments: attachments.map(({ platform, descriptor }) => ({
          ...{ digest: descriptor.digest, platform, type: typeOf(descriptor) },
        })),
        materials: await materialsOf(history, attachments),
        failed: error && (await failedStep(history, record.Ref, error)),
      });
      const format = flags.text("format") ?? "pretty";
      if (format === "json") await write(io.stdout, `${JSON.stringify(withoutEmpty(document), null, 2)}\n`);
      else if (format !== "pretty") await write(io.stdout, `${compileTemplate(format)(document)}\n`);
      else await write(io.stdout, historyPage(document, ref !== "" && !ref.startsWith("^")));
      return 0;
    }),
};

const attachment: Command = {
  usage: "[OPTIONS] [REF [DIGEST]]",
  flags: [
    { name: "platform", kind: "text", help: "Platform of attachment" },
    { name: "type", kind: "text", help: "Type of attachment (index, manifest, provenance, or a media type)" },
  ],
  least: 0,
  most: 2,
  run: async (o) =>
    await asking(o, async (history) => {
      const [ref = "", digest] = o.args;
      const [type, platform] = [o.flags.text("type"), o.flags.text("platform")];
      if (digest === undefined && type === undefined && platform === undefined)
        throw new Fault("invalid", "at least one of --type, --platform or DIGEST must be specified");
      const record = await recordOf(history, ref);
      const found = digest ?? attachmentOf(await allAttachments(history, record), { type, platform });
      if (found === undefined)
        throw new Fault("not-found", `no matching attachment found for ref ${JSON.stringify(ref)}`);
      await write(o.io.stdout, await history.read(found));
      return 0;
    }),
};

const rm: Command = {
  usage: "[OPTIONS] [REF...]",
  flags: [{ name: "all", kind: "switch", help: "Remove all build records" }],
  least: 0,
  run: async (o) => {
    const all = o.flags.on("all");
    if (o.args.length === 0 && !all) throw new Fault("invalid", "rm requires at least one argument");
    if (o.args.length > 0 && all)
      throw new Fault("invalid", "rm requires either --all or at least one argument");
    return await asking(o, async (history) => {
      const records = all ? await history.list() : [];
      const over = records.flatMap(({ Ref, CompletedAt }) => (CompletedAt === undefined ? [] : [Ref]));
      let code = 0;
      for (const ref of [...o.args, ...over])
        await history.remove(ref).catch(async (thrown: unknown) => {
          code = 1;
          await write(o.io.stderr, `${Fault.from(thrown).message}\n`);
        });
      return code;
    });
  },
};

const exporting: Command = {
  usage: "[OPTIONS] [REF...]",
  flags: [
    { name: "all", kind: "switch", help: "Export all build records" },
    { name: "output", short: "o", kind: "text", help: "Output file path" },
  ],
  least: 0,
  run: async (o) => {
    const { io, flags, args } = o;
    const [all, output] = [flags.on("all"), flags.text("output")];
    if (all && args.length > 0) throw new Fault("invalid", "cannot specify refs when using --all");
    if (output === undefined && io.stdout.isTTY)
      throw new Fault("invalid", "refusing to write to console, use --output to specify a file");
    return await asking(o, async (history) => {
      const records = all
        ? (await history.list()).filter(({ CompletedAt }) => CompletedAt !== undefined)
        : await Promise.all(
            (args.length === 0 ? [""] : args).map(async (ref) => await recordOf(history, ref)),
          );
      if (records.length === 0) throw new Fault("not-found", "no records found");
      const states = new Map(
        await Promise.all(records.map(async ({ Ref }) => [Ref, await stateOf(io, Ref)] as const)),
      );
      const bundle = bundleRecords(history, records, states);
      if (output === undefined) for await (const part of bundle) await write(io.stdout, part);
      else await pipeline(bundle, createWriteStream(resolve(io.cwd, output)));
      return 0;
    });
  },
};

async function asking(
  o: Invocation,
  work: (history: BuildHistoryClient) => Promise<number>,
): Promise<number> {
  const abort = new AbortController();
  using _ = o.io.onSignals(["SIGINT", "SIGTERM"], () =>
    abort.abort(new Fault("cancelled", "context canceled")),
  );
  using history = await (await o.client()).builds.history(abort.signal);
  return await work(history);
}

async function recordOf(history: BuildHistoryClient, ref: string): Promise<HistoryRead> {
  const anyOf = ref === "" || ref.startsWith("^");
  return chosenRecord(await history.list(anyOf ? { limit: recordsMax } : { ref }), ref);
}

/** As buildx wrote it, when it asked for the build from this machine. */
async function stateOf(io: CliIo, ref: string): Promise<LocalState | undefined> {
  const root = io.env["BUILDX_CONFIG"] || join(configDirectory(io), "buildx");
  try {
    return JSON.parse(await readFile(join(root, "refs", fullRef(ref)), "utf8")) as LocalState;
  } catch {
    return undefined;
  }
}

/** What the results stood on. */
async function materialsOf(
  history: BuildHistoryClient,
  attachments: Awaited<ReturnType<typeof allAttachments>>,
) {
  const provenance = attachments.find(({ descriptor }) =>
    typeOf(descriptor).startsWith("https://slsa.dev/provenance/"),
  );
  if (provenance === undefined) return [];
  const text = Buffer.from(await history.read(provenance.descriptor.digest)).toString();
  const said = JSON.parse(text) as {
    materials?: { uri: string; digest?: Record<string, string> }[];
  };
  return (said.materials ?? []).map(({ uri, digest = {} }) => ({
    URI: uri,
    Digests: Object.entries(digest).map(([name, hex]) => `${name}:${hex}`),
  }));
}

/** The step that failed, and the end of what it wrote. */
async function failedStep(history: BuildHistoryClient, ref: string, { details }: RpcStatus) {
  const detail = details.find(({ typeUrl }) => typeUrl.endsWith("errdefs.Vertex+json"));
  if (detail === undefined) return undefined;
  const { digest } = JSON.parse(Buffer.from(detail.value).toString()) as { digest: string };
  let name = "";
  let text = "";
  for await (const { vertexes, logs: told } of history.told(ref)) {
    name = vertexes.find((each) => each.digest === digest)?.name ?? name;
    for (const { vertex, msg } of told) if (vertex === digest) text += Buffer.from(msg).toString();
  }
  const lines = text.split("\n").filter((line) => line !== "");
  return { name, lines: lines.slice(-failedLinesMax) };
}

export const commands: Readonly<Record<string, Command>> = {
  ...{ ls, logs, inspect, attachment, rm, export: exporting },
};
