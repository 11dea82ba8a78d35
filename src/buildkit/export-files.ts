/**
 * Results as files: in a directory of the client's, or in one archive, with what is said of them beside.
 * Source: moby/buildkit exporter/local and exporter/tar.
 */
import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import type { BuildResult, PlatformResult } from "#build/request/build-request.ts";
import { inTotoStatement, type Subject } from "#build/results/attestation-manifest.ts";
import { type FileExport, fileExport } from "#build/results/export-attributes.ts";
import { Beneath } from "#kernel/files/beneath.ts";
import { type BytePath, bytePath, joinPath, pathText } from "#kernel/files/byte-path.ts";
import { closeDescriptor, fileKind, openFlag } from "#kernel/files/files-at.ts";
import type { Exporter } from "#spec/buildkit-control.ts";
import { session, sessionHeader } from "#spec/buildkit-session.ts";
import { Fault } from "#spec/fault.ts";
import { formatPlatform } from "#spec/platform.ts";
import { Breath } from "#store/breath.ts";
import { type ArchivedPart, archiveParts } from "#store/trees/tree-archive.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { type ExportAnswer, ExportStep, fileTaker, sendArchive } from "./export-step.ts";
import { type SentDocument, type SentTree, sendFiles } from "./send-files.ts";

interface ClientExport {
  readonly exporter: Exporter;
  readonly index: number;
  readonly result: BuildResult;
}

/** A platform's files, where they go and what goes with them. */
interface ExportedTree extends SentTree {
  readonly platform: string;
  readonly documents: readonly SentDocument[];
}

/** @throws Fault `invalid` for platforms that would write over one another. */
export async function toDirectory(
  parts: BuildkitParts,
  job: BuildJob,
  o: ClientExport,
): Promise<ExportAnswer> {
  const wanted = fileExport("local", o.exporter.Attrs);
  const split = wanted.platformSplit ?? o.result.multiPlatform;
  const step = new ExportStep(job, parts.now, "exporting to client directory");
  await step.run(async () => {
    await using stack = new AsyncDisposableStack();
    const trees = await openTrees(parts, job, { ...o, wanted, split }, stack);
    if (!split) await refuseOverlap(trees, job.signal);
    const { channel } = await fileTaker(parts, job);
    const metadata = { [sessionHeader.exporterId]: [String(o.index)] };
    // One after the other: each is a listing in an order of its own.
    for (const tree of trees) {
      using call = channel.open(session.fileSend, { metadata, signal: job.signal });
      const title = split ? `copying files ${tree.platform}` : "copying files";
      await step.part(title, (told) => sendFiles(call, tree, told));
    }
  });
  return {};
}

export async function toTar(parts: BuildkitParts, job: BuildJob, o: ClientExport): Promise<ExportAnswer> {
  const wanted = fileExport("tar", o.exporter.Attrs);
  const step = new ExportStep(job, parts.now, "exporting to client tarball");
  await step.run(async () => {
    await using stack = new AsyncDisposableStack();
    const trees = await openTrees(parts, job, { ...o, wanted, split: o.result.multiPlatform }, stack);
    const archived = trees.flatMap(({ files, below, documents }): ArchivedPart[] => {
      const name = below === "" ? undefined : bytePath(below);
      const beside = documents.map((each) => ({
        ...each,
        name: name === undefined ? each.name : joinPath(name, each.name),
      }));
      return [{ tree: files, start: "" as BytePath, name }, ...beside];
    });
    const { signal } = job;
    const archive = archiveParts(archived, { signal, mtimeNano: trees[0]?.mtimeNano });
    await sendArchive(parts, job, step, { index: o.index, archive, about: {} });
  });
  return {};
}

async function openTrees(
  { builder, now }: BuildkitParts,
  { signal }: BuildJob,
  o: ClientExport & { readonly wanted: FileExport; readonly split: boolean },
  stack: AsyncDisposableStack,
): Promise<ExportedTree[]> {
  const { perPlatform, multiPlatform, epochMs } = o.result;
  const time = o.wanted.epochMs ?? epochMs;
  const mtimeNano = time === undefined ? undefined : BigInt(time) * 1_000_000n;
  const nowNano = BigInt(Math.floor(now() / 1000)) * 1_000_000_000n;
  const trees: ExportedTree[] = [];
  for (const each of perPlatform) {
    const tree = stack.use(await builder.tree(each));
    const files = stack.use(Beneath.open(tree.root));
    const platform = formatPlatform(each.platform);
    const folder = platform.replaceAll("/", "_");
    const documents = await documentsBeside(each, files, {
      ...{ prefix: o.wanted.attestationPrefix, mtimeNano: nowNano, signal },
      platform: multiPlatform && !o.split ? folder : undefined,
    });
    trees.push({ files, below: o.split ? folder : "", documents, mtimeNano, platform });
  }
  return trees;
}

const statementMode = 0o600;

/** What is said of the files, with the digest of each. */
async function documentsBeside(
  { predicates = [] }: PlatformResult,
  files: Beneath,
  o: {
    readonly prefix: string;
    /** Part of the names where several platforms lie in one directory. */
    readonly platform: string | undefined;
    readonly mtimeNano: bigint;
    readonly signal: AbortSignal;
  },
): Promise<SentDocument[]> {
  const said = predicates.filter(({ inlineOnly }) => !inlineOnly);
  if (said.length === 0) return [];
  const subjects = await subjectsIn(files, o.signal);
  return said.map((each) => {
    const [, stem = "", extension = ""] = /^(.*?)(\.[^.]*)?$/s.exec(o.prefix + each.file) ?? [];
    const name = o.platform === undefined ? stem + extension : `${stem}.${o.platform}${extension}`;
    const content = Buffer.from(JSON.stringify(inTotoStatement(each, subjects), null, 2));
    return { name: bytePath(name), content, mode: statementMode, mtimeNano: o.mtimeNano };
  });
}

async function subjectsIn(files: Beneath, signal: AbortSignal): Promise<Subject[]> {
  const subjects: Subject[] = [];
  const breath = new Breath(signal);
  const buffer = Buffer.allocUnsafeSlow(256 << 10);
  for (const path of pathsIn(files, "file")) {
    const hash = createHash("sha256");
    const descriptor = files.open(path, openFlag.read | openFlag.noFollow);
    try {
      for (let length = 1; length > 0; ) {
        length = readSync(descriptor, buffer, 0, buffer.length, null);
        hash.update(buffer.subarray(0, length));
        if (breath.due) await breath.take();
      }
    } finally {
      closeDescriptor(descriptor);
    }
    subjects.push({ name: pathText(path), digest: { sha256: hash.digest("hex") } });
  }
  return subjects;
}

/** All but directories, or regular files alone. */
function* pathsIn(files: Beneath, wanted: "file" | "all"): Generator<BytePath> {
  const pending = files.list("" as BytePath).reverse();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const mode = files.stat(path)?.mode ?? 0;
    const kind = mode & fileKind.mask;
    if (kind === fileKind.directory)
      for (const name of files.list(path).reverse()) pending.push(joinPath(path, name));
    else if (wanted === "all" || kind === fileKind.file) yield path;
  }
}

/** @throws Fault `invalid`. */
async function refuseOverlap(trees: readonly ExportedTree[], signal: AbortSignal): Promise<void> {
  if (trees.length < 2) return;
  const breath = new Breath(signal);
  const from = new Map<string, string>();
  for (const { files, documents, platform } of trees)
    for (const path of [...pathsIn(files, "all"), ...documents.map(({ name }) => name)]) {
      const other = from.get(path);
      if (other !== undefined)
        throw new Fault(
          "invalid",
          `cannot overwrite ${pathText(path)} from ${other} with ${platform} when split option is disabled`,
        );
      from.set(path, platform);
      if (breath.due) await breath.take();
    }
}
