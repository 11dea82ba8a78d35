/**
 * What becomes of a build's result: an image of the store, files or an archive for the client.
 * Owns: exporters by their names, what they tell and answer. Never: builds.
 */
import { createHash } from "node:crypto";
import type { BuildResult } from "#build/build-request.ts";
import { Beneath } from "#kernel/beneath.ts";
import type { BytePath } from "#kernel/byte-path.ts";
import type { Exporter } from "#spec/buildkit-control.ts";
import { session, sessionHeader } from "#spec/buildkit-session.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { faultOfCall } from "#spec/grpc-status.ts";
import { formatPlatform } from "#spec/platform.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import { archiveTree } from "#store/tree-archive.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { type SentTree, sendFiles } from "./send-files.ts";

/** What exporters answer: what `--metadata-file` and `--iidfile` show. */
export type ExportAnswer = Record<string, string>;

/** One message to a client: the default bound of its gRPC is 4 MiB. */
const sentBytesMax = 3 << 20;

/** @throws Fault `invalid` for an exporter there is not. */
export async function runExporter(
  parts: BuildkitParts,
  job: BuildJob,
  o: { readonly exporter: Exporter; readonly index: number; readonly result: BuildResult },
): Promise<ExportAnswer> {
  const { Type } = o.exporter;
  switch (Type) {
    case "moby":
    case "image":
      return await toStore(parts, job, o.exporter, o.result);
    case "local":
      return await toDirectory(parts, job, o);
    case "tar":
      return await toTar(parts, job, o);
    default:
      throw new Fault(
        "invalid",
        `exporter ${JSON.stringify(Type)} could not be found: there are moby, local and tar`,
      );
  }
}

async function toStore(
  parts: BuildkitParts,
  job: BuildJob,
  { Attrs }: Exporter,
  result: BuildResult,
): Promise<ExportAnswer> {
  const names = [
    ...new Set(
      (Attrs["name"] ?? "")
        .split(",")
        .filter((name) => name !== "")
        .map(fullName),
    ),
  ];
  const step = new ExportStep(job, parts.now, "exporting to image");
  return await step.run(async () => {
    const { id } = await step.part("exporting layers", () => parts.builder.store(result, { names }));
    step.done(`writing image ${id}`);
    for (const name of names) step.done(`naming to ${name}`);
    return {
      "containerimage.digest": id,
      "containerimage.config.digest": id,
      ...(names.length > 0 && { "image.name": names.join(",") }),
    };
  });
}

/** @throws Fault `invalid` for what cannot be a tag. */
function fullName(text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined) throw new Fault("invalid", "build tag cannot contain a digest");
  return formatReference(withDefaultTag(reference));
}

interface ClientExport {
  readonly exporter: Exporter;
  readonly index: number;
  readonly result: BuildResult;
}

async function toDirectory(parts: BuildkitParts, job: BuildJob, o: ClientExport): Promise<ExportAnswer> {
  const step = new ExportStep(job, parts.now, "exporting to client directory");
  await step.run(async () => {
    await using stack = new AsyncDisposableStack();
    const trees = await openTrees(parts, o, stack);
    const { channel } = await clientSession(parts, job);
    using call = channel.open(session.fileSend, { metadata: exporterId(o), signal: job.signal });
    await step.part("copying files", (told) => sendFiles(call, trees, told));
  });
  return {};
}

async function toTar(parts: BuildkitParts, job: BuildJob, o: ClientExport): Promise<ExportAnswer> {
  const step = new ExportStep(job, parts.now, "exporting to client tarball");
  await step.run(async () => {
    await using stack = new AsyncDisposableStack();
    const [tree, ...more] = await openTrees(parts, { ...o, split: "never" }, stack);
    if (tree === undefined || more.length > 0)
      throw new Fault(
        "unsupported",
        "a tar of several platforms is not supported: build them one by one, or use type=local",
      );
    const { channel } = await clientSession(parts, job);
    const start = "" as BytePath;
    using call = channel.open(session.fileSendBytes, { metadata: exporterId(o), signal: job.signal });
    await step.part("sending tarball", async (told) => {
      let bytes = 0;
      for await (const chunk of archiveTree(tree.files, { start, signal: job.signal })) {
        for (let at = 0; at < chunk.length; at += sentBytesMax)
          await call.send({ data: chunk.subarray(at, at + sentBytesMax) });
        bytes += chunk.length;
        told(bytes);
      }
      call.end();
      for await (const _ of call.responses);
    });
  });
  return {};
}

async function clientSession({ sessions }: BuildkitParts, job: BuildJob) {
  const found = await sessions.find(job.request.Session, job.signal);
  if (!found.answers(session.fileSend))
    throw new Fault("invalid", "the client takes no files: it named no place for them");
  return found;
}

function exporterId({ index }: ClientExport): Record<string, string[]> {
  return { [sessionHeader.exporterId]: [String(index)] };
}

async function openTrees(
  { builder }: BuildkitParts,
  o: ClientExport & { readonly split?: "never" },
  stack: AsyncDisposableStack,
): Promise<SentTree[]> {
  const { perPlatform, multiPlatform } = o.result;
  const split =
    o.split !== "never" && (o.exporter.Attrs["platform-split"] ?? String(multiPlatform)) === "true";
  const trees: SentTree[] = [];
  for (const each of perPlatform) {
    const tree = stack.use(await builder.tree(each));
    const below = split ? formatPlatform(each.platform).replaceAll("/", "_") : "";
    trees.push({ files: stack.use(Beneath.open(tree.root)), below });
  }
  return trees;
}

/** A vertex of its own for what an exporter does. */
class ExportStep {
  readonly #job: BuildJob;
  readonly #now: () => number;
  readonly #name: string;
  readonly #digest: Digest;
  readonly #startedMs: number;

  constructor(job: BuildJob, now: () => number, name: string) {
    this.#job = job;
    this.#now = now;
    this.#name = name;
    const seed = `${job.request.Ref} ${name} ${job.feed.counts.total}`;
    this.#digest = `sha256:${createHash("sha256").update(seed).digest("hex")}` as Digest;
    this.#startedMs = now();
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#tell();
    try {
      const done = await work();
      this.#tell({ completedMs: this.#now() });
      return done;
    } catch (thrown) {
      const fault = faultOfCall(thrown);
      const error = fault.kind === "cancelled" ? "context canceled" : fault.message;
      this.#tell({ completedMs: this.#now(), error });
      throw fault;
    }
  }

  /** One part of it, with the bytes it has moved. */
  async part<T>(id: string, work: (told: (bytes: number) => void) => Promise<T>): Promise<T> {
    const startedMs = this.#now();
    let current = 0;
    const status = (completedMs?: number): void =>
      this.#job.feed.status({
        ...{ id, vertex: this.#digest, current, total: 0, timeMs: this.#now(), startedMs },
        ...(completedMs !== undefined && { completedMs }),
      });
    status();
    let toldMs = startedMs;
    const done = await work((bytes) => {
      current = bytes;
      if (this.#now() - toldMs < tellEveryMs) return;
      toldMs = this.#now();
      status();
    });
    status(this.#now());
    return done;
  }

  done(id: string): void {
    const timeMs = this.#now();
    const moment = { timeMs, startedMs: timeMs, completedMs: timeMs };
    this.#job.feed.status({ id, vertex: this.#digest, current: 0, total: 0, ...moment });
  }

  #tell(end: { readonly completedMs?: number; readonly error?: string } = {}): void {
    const about = { digest: this.#digest, inputs: [], name: this.#name, startedMs: this.#startedMs };
    this.#job.feed.vertex({ ...about, ...end });
  }
}

const tellEveryMs = 100;
