/**
 * What becomes of a build's result: an image of the store, files or an archive for the client.
 * Owns: exporters by their names, what they tell and answer. Never: builds.
 */
import type { BuildResult, PlatformResult } from "#build/request/build-request.ts";
import { fileExport, imageExport } from "#build/results/export-attributes.ts";
import { Beneath } from "#kernel/files/beneath.ts";
import type { BytePath } from "#kernel/files/byte-path.ts";
import type { Exporter } from "#spec/buildkit-control.ts";
import { session, sessionHeader } from "#spec/buildkit-session.ts";
import { Fault } from "#spec/fault.ts";
import { formatPlatform } from "#spec/platform.ts";
import { archiveTree } from "#store/trees/tree-archive.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { toLayout, toStore } from "./export-images.ts";
import { type ExportAnswer, ExportStep, fileTaker, sendArchive } from "./export-step.ts";
import { type SentTree, sendFiles } from "./send-files.ts";

/** Before anything is built. @throws Fault `invalid` for an exporter there is not, or options it has not. */
export function checkExporter({ Type, Attrs }: Exporter): void {
  switch (Type) {
    case "moby":
    case "image":
      imageExport("image", Attrs);
      break;
    case "oci":
    case "docker":
      imageExport(Type, Attrs);
      break;
    case "local":
    case "tar":
      fileExport(Type, Attrs);
      break;
    default:
      throw new Fault(
        "invalid",
        `exporter ${JSON.stringify(Type)} could not be found: there are image, oci, docker, local and tar`,
      );
  }
}

/** @throws Fault `invalid` for an exporter there is not. */
export async function runExporter(
  parts: BuildkitParts,
  job: BuildJob,
  o: { readonly exporter: Exporter; readonly index: number; readonly result: BuildResult },
): Promise<ExportAnswer> {
  const { Type } = o.exporter;
  if ((Type === "local" || Type === "tar") && o.result.perPlatform.some(isSaidOf))
    throw new Fault(
      "unsupported",
      `attestations have no place in ${Type} output: use image, registry or oci, or leave them out`,
    );
  switch (Type) {
    case "moby":
    case "image":
      return await toStore(parts, job, o);
    case "oci":
    case "docker":
      return await toLayout(parts, job, { ...o, variant: Type });
    case "local":
      return await toDirectory(parts, job, o);
    case "tar":
      return await toTar(parts, job, o);
    default:
      checkExporter(o.exporter);
      return {};
  }
}

/** Something was asked to be said of it. */
function isSaidOf({ predicates = [] }: PlatformResult): boolean {
  return predicates.some(({ inlineOnly }) => !inlineOnly);
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
    const { channel } = await fileTaker(parts, job);
    const metadata = { [sessionHeader.exporterId]: [String(o.index)] };
    using call = channel.open(session.fileSend, { metadata, signal: job.signal });
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
    const start = "" as BytePath;
    const archive = archiveTree(tree.files, { start, signal: job.signal });
    await sendArchive(parts, job, step, { index: o.index, archive, about: {} });
  });
  return {};
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
