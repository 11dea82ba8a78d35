/**
 * COPY and ADD: sources found and hashed before the cache is asked, placed into the image when it has no answer.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ChainId } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { openArchive } from "./archive.ts";
import { fetchSource, isGit, isRemote } from "./fetch-source.ts";
import { parseMode, parseOwner } from "./ownership.ts";
import { destinationPath, makeDirectories, type PlaceOptions, place } from "./place.ts";
import { lookAt, resolveInRoot } from "./rooted-path.ts";
import { combineHashes, type Source, type SourceTree } from "./source-tree.ts";
import type { ExpandedTransfer } from "./step.ts";
import { unpackInto } from "./unpack-into.ts";
import type { NewLayer, Workspaces } from "./workspace.ts";

export interface TransferParts {
  readonly workspaces: Workspaces;
  /** The build's own directory, for downloads and inline files. */
  readonly scratch: string;
  readonly signal: AbortSignal;
}

/** A transfer whose sources are known. */
export interface PreparedTransfer {
  /** Stands for everything that is read. */
  readonly hash: string;
  /** Places the sources above `parent`; undefined when that changes nothing. */
  perform(parent: ChainId | undefined): Promise<NewLayer | undefined>;
}

/** @throws Fault in Docker's words: a source that is missing, no sources, several without a directory to go to. */
export async function prepareTransfer(
  transfer: ExpandedTransfer,
  tree: SourceTree,
  parts: TransferParts,
): Promise<PreparedTransfer> {
  const { keyword } = transfer;
  const mode = parseMode(transfer.chmod);
  const sources: Source[] = [];
  try {
    for (const source of transfer.sources)
      sources.push(...(await findSources(source, transfer, tree, parts)));
    for (const file of transfer.inline) sources.push(inlineSource(file, parts.scratch));
    if (sources.length === 0) throw new Fault("invalid", "no source files were specified");
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(error.kind, `${keyword} failed: ${error.message}`, { cause: error });
  }
  const path = destinationPath(transfer.workingDirectory, transfer.destination);
  if (sources.length > 1 && !path.endsWith("/"))
    throw new Fault(
      "invalid",
      `When using ${keyword} with more than one source file, the destination must be a directory and end with a /`,
    );
  const perform = async (parent: ChainId | undefined) => {
    await using workspace = await parts.workspaces.acquire(parent);
    const destination = { root: workspace.root, path };
    const options = { owner: await owner(transfer, workspace.root), mode, signal: parts.signal };
    for (const source of sources) await placeSource(source, destination, keyword, options);
    // Awaited here: the workspace must outlive its commit.
    return await workspace.commit({ signal: parts.signal });
  };
  return { hash: combineHashes(sources), perform };
}

async function findSources(
  source: string,
  transfer: ExpandedTransfer,
  tree: SourceTree,
  { scratch, signal }: TransferParts,
): Promise<Source[]> {
  if (isGit(source))
    throw new Fault(
      "unsupported",
      `git sources are not supported yet: fetch ${source} into the context first`,
    );
  if (!isRemote(source)) return tree.find(source, { signal });
  if (transfer.keyword === "COPY") throw new Fault("invalid", "source can't be a URL for COPY");
  const directory = ownDirectory(scratch);
  const fetched = await fetchSource(source, { directory, checksum: transfer.checksum, signal });
  if (fetched.name === "" && destinationPath("/", transfer.destination).endsWith("/"))
    throw new Fault("invalid", `cannot determine filename for source ${source}`);
  return [fetched];
}

let directories = 0;

function ownDirectory(scratch: string): string {
  const directory = join(scratch, `source-${++directories}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

function inlineSource(file: ExpandedTransfer["inline"][number], scratch: string): Source {
  const path = join(ownDirectory(scratch), "content");
  writeFileSync(path, file.content, { mode: 0o644, flag: "wx" });
  const hash = createHash("sha256")
    .update(JSON.stringify([file.name, file.content]))
    .digest("hex");
  return { path, name: file.name, directory: false, hash: `file:${hash}`, fetched: true };
}

/** Root for what comes from a context; what comes from an image keeps its owners unless --chown says otherwise. */
async function owner(transfer: ExpandedTransfer, root: string): Promise<PlaceOptions["owner"]> {
  if (transfer.chown !== "")
    return parseOwner(transfer.chown, {
      passwd: await textOf(root, "/etc/passwd"),
      group: await textOf(root, "/etc/group"),
    });
  return transfer.from === "" ? { uid: 0, gid: 0 } : undefined;
}

async function textOf(root: string, path: string): Promise<string> {
  const host = resolveInRoot(root, path);
  return lookAt(host)?.isFile() ? readFile(host, "utf8") : "";
}

async function placeSource(
  source: Source,
  destination: { readonly root: string; readonly path: string },
  keyword: "COPY" | "ADD",
  o: PlaceOptions,
): Promise<void> {
  const unpacks = keyword === "ADD" && !source.directory && source.fetched !== true;
  const archive = unpacks && lookAt(source.path)?.isFile() ? await openArchive(source.path) : undefined;
  if (archive === undefined) return place(source, destination, o);
  const target = resolveInRoot(destination.root, destination.path);
  makeDirectories(destination.root, target, { uid: 0, gid: 0 });
  await unpackInto(archive.bytes, target, { signal: o.signal });
}
