/**
 * COPY and ADD: sources found and hashed before the cache is asked, placed into the image when it has no answer.
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { accountFiles } from "#build/files/account-files.ts";
import { Additions } from "#build/files/additions.ts";
import { openArchive } from "#build/files/archive.ts";
import { copyTimes, type Sharing } from "#build/files/copier.ts";
import { missingSource } from "#build/files/missing-source.ts";
import { type Owner, parseMode, parseOwner } from "#build/files/ownership.ts";
import { destinationPath, makeDirectories, type PlaceOptions, place } from "#build/files/place.ts";
import { lookAt, resolveInRoot } from "#build/files/rooted-path.ts";
import { combineHashes, type Source, SourceTree } from "#build/files/source-tree.ts";
import { unpackInto } from "#build/files/unpack-into.ts";
import type { CommitOptions, NewLayer, Workspaces } from "#build/files/workspace.ts";
import type { Dialect, ExpandedTransfer } from "#build/language/step.ts";
import { fetchSource, isRemote } from "#build/sources/fetch-source.ts";
import { checkoutGit, type GitAccess, parseGitReference, resolveGit } from "#build/sources/git-source.ts";
import type { ChainId } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import { cleanPath } from "#spec/go-text.ts";

export interface TransferParts {
  readonly workspaces: Workspaces;
  /** The build's own directory, for downloads and inline files. */
  readonly scratch: string;
  /** Whose rules and sentences hold. */
  readonly dialect: Dialect;
  /** How a repository of ADD is reached. */
  readonly gitAccess?: (remote: string) => Promise<Omit<GitAccess, "signal">>;
  readonly signal: AbortSignal;
}

/** A transfer whose sources are known. */
export interface PreparedTransfer {
  /** Stands for everything that is read. */
  readonly hash: string;
  /** Each source, or each file of a directory where there are not too many, and its hash. */
  readonly reads: () => Readonly<Record<string, string>>;
  /** Places the sources above `parent`; undefined when that changes nothing. `settle` may touch the changes up first. */
  perform(parent: ChainId | undefined, o: CommitOptions): Promise<NewLayer | undefined>;
}

/** @throws Fault in Docker's words: a source that is missing, no sources, several without a directory to go to. */
export async function prepareTransfer(
  transfer: ExpandedTransfer,
  tree: SourceTree | undefined,
  parts: TransferParts,
): Promise<PreparedTransfer> {
  const { keyword } = transfer;
  const classic = parts.dialect === "classic";
  const mode = parseMode(transfer.chmod);
  const sources: Source[] = [];
  try {
    for (const source of transfer.sources)
      sources.push(...(await findSources(source, transfer, tree, parts)));
    for (const file of transfer.inline) sources.push(inlineSource(file, parts.scratch));
    if (sources.length === 0 && classic) throw new Fault("invalid", "no source files were specified");
  } catch (error) {
    if (!(error instanceof Fault) || !classic) throw error;
    throw new Fault(error.kind, `${keyword} failed: ${error.message}`, { cause: error });
  }
  let path = destinationPath(transfer.workingDirectory, transfer.destination);
  const several = transfer.sources.length + transfer.inline.length > 1 || sources.length > 1;
  // BuildKit takes them one after another, as if each stood alone.
  if (several && classic && !path.endsWith("/"))
    throw new Fault(
      "invalid",
      `When using ${keyword} with more than one source file, the destination must be a directory and end with a /`,
    );
  if (transfer.parents && !path.endsWith("/")) path = `${path}/`;
  const sharing = (parent: ChainId | undefined, settles: boolean): Sharing => {
    // What is settled is changed.
    if (tree?.isOwn !== true || settles) return "none";
    return parts.workspaces.sharesFiles(parent) ? "unshared" : "all";
  };
  const perform: PreparedTransfer["perform"] = async (parent, o) => {
    await using workspace = await parts.workspaces.acquire(parent);
    const destination = { root: workspace.root, path };
    const options = {
      owner: owner(transfer, workspace.root, parts.dialect),
      mode,
      shares: sharing(parent, o.settle !== undefined),
      signal: o.signal,
    };
    // What --parents or an archive makes in between may meet what an earlier source brought.
    const additions =
      sources.length === 1 || (transfer.keyword === "COPY" && !transfer.parents)
        ? new Additions(workspace.root)
        : undefined;
    for (const source of sources) {
      additions?.next();
      await placeSource(source, destination, transfer, { ...options, additions });
    }
    const settle = async (changes: string): Promise<void> => {
      await additions?.put(changes, options);
      await o.settle?.(changes);
    };
    // Awaited here: the workspace must outlive its commit.
    return await workspace.commit({
      ...o,
      settle,
      always: o.always === true || additions?.isEmpty === false,
    });
  };
  const reads = () =>
    Object.fromEntries(
      sources.flatMap((each) =>
        Object.entries(tree?.filesOf(each) ?? { [each.relative ?? each.name]: each.hash }),
      ),
    );
  return { hash: combineHashes(sources), reads, perform };
}

async function findSources(
  source: string,
  transfer: ExpandedTransfer,
  tree: SourceTree | undefined,
  parts: TransferParts,
): Promise<Source[]> {
  const { scratch, signal } = parts;
  const repository = transfer.keyword === "ADD" ? parseGitReference(source) : undefined;
  if (repository !== undefined) {
    const access = { ...(await parts.gitAccess?.(repository.remote)), signal };
    const pinned = transfer.checksum === "" ? repository : { ...repository, checksum: transfer.checksum };
    const commit = await resolveGit(pinned, access);
    const keepGitDir = repository.keepGitDir ?? transfer.keepGitDir;
    const directory = join(ownDirectory(scratch), "repository");
    const path = await checkoutGit(repository, commit, directory, { ...access, keepGitDir });
    const [found] = await new SourceTree(path, "context").find("/", { signal, exclude: transfer.exclude });
    const hash = `dir:${sha256(JSON.stringify([commit, repository.subdirectory, keepGitDir, transfer.exclude]))}`;
    return found === undefined ? [] : [{ ...found, hash }];
  }
  if (!isRemote(source)) {
    if (tree === undefined) throw new Fault("internal", `there are no files to look for ${source} in`);
    return await localSources(source, transfer, tree, parts);
  }
  if (transfer.keyword === "COPY") throw new Fault("invalid", refusedAddress(source));
  const directory = ownDirectory(scratch);
  const fetched = await fetchSource(source, { directory, checksum: transfer.checksum, signal });
  if (fetched.name !== "") return [fetched];
  if (parts.dialect === "buildkit") return [{ ...fetched, name: "__unnamed__" }];
  if (destinationPath("/", transfer.destination).endsWith("/"))
    throw new Fault("invalid", `cannot determine filename for source ${source}`);
  return [fetched];
}

function refusedAddress(source: string): string {
  const git = parseGitReference(source) !== undefined;
  return `source can't be a ${git ? "git ref" : "URL"} for COPY`;
}

async function localSources(
  source: string,
  transfer: ExpandedTransfer,
  tree: SourceTree,
  { signal, dialect }: TransferParts,
): Promise<Source[]> {
  const exclude = transfer.exclude.length === 0 ? undefined : transfer.exclude;
  const pivot = transfer.parents ? source.indexOf("/./") : -1;
  // BuildKit takes a path that would leave the context as one that stops at its top.
  const path = dialect === "classic" ? source : cleanPath(`/${source}`);
  const found = await tree
    .find(path, { signal, exclude, anyDepth: transfer.parents })
    .catch(async (error: unknown) => {
      if (dialect === "classic" || !isFault(error, "not-found")) throw error;
      throw missingSource(path, await tree.namesBeside(path));
    });
  const kept =
    exclude === undefined ? found : found.filter((each) => each.directory || !each.filter?.skips(each.name));
  if (!transfer.parents) return kept;
  const base = pivot < 0 ? "" : cleanPath(`/${source.slice(0, pivot)}`).slice(1);
  return kept.map((each) => {
    const inner = base === "" ? (each.relative ?? "") : (each.relative ?? "").slice(base.length + 1);
    const above = each.directory ? inner : dirname(inner);
    const below = above === "." ? "" : above;
    return { ...each, below, treeRoot: tree.root, hash: `${each.hash}:${sha256(below)}` };
  });
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
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
  return { path, name: file.name, directory: false, hash: `file:${hash}`, inline: true };
}

const rootOwner: Owner = { uid: 0, gid: 0 };

/** Root for what comes from a context; what comes from an image keeps its owners unless --chown says otherwise. */
function owner({ chown, from }: ExpandedTransfer, root: string, dialect: Dialect): Owner | undefined {
  if (chown !== "") return parseOwner(chown, accountFiles(root), dialect);
  return from === "" ? rootOwner : undefined;
}

async function placeSource(
  source: Source,
  destination: { readonly root: string; readonly path: string },
  transfer: ExpandedTransfer,
  o: PlaceOptions,
): Promise<void> {
  const wanted = transfer.unpack ?? source.fetched !== true;
  const unpacks = transfer.keyword === "ADD" && !source.directory && source.inline !== true && wanted;
  const archive = unpacks && lookAt(source.path)?.isFile() ? await openArchive(source.path) : undefined;
  if (archive === undefined) return await place(source, underParents(source, destination, o), o);
  const target = resolveInRoot(destination.root, destination.path);
  makeDirectories(destination.root, target, o.owner ?? rootOwner);
  await unpackInto(archive.bytes, target, { signal: o.signal });
}

/** For --parents: the directories of the source's path, as they are there, and the destination below them. */
function underParents(
  { below, treeRoot, relative }: Source,
  destination: { readonly root: string; readonly path: string },
  o: PlaceOptions,
): { readonly root: string; readonly path: string } {
  if (below === undefined || below === "" || treeRoot === undefined) return destination;
  const names = below.split("/");
  const skipped = (relative ?? "").indexOf(below);
  const base = (relative ?? "").slice(0, Math.max(skipped, 0));
  const top = resolveInRoot(destination.root, destination.path);
  makeDirectories(destination.root, top, o.owner ?? rootOwner);
  for (const [index] of names.entries()) {
    const inner = names.slice(0, index + 1).join("/");
    const host = resolveInRoot(destination.root, `${destination.path}/${inner}`);
    const there = lookAt(resolveInRoot(treeRoot, base + inner));
    if (!makeDirectories(destination.root, host, o.owner ?? there ?? rootOwner) || there === undefined)
      continue;
    chmodSync(host, o.mode?.(there.mode & 0o7777, true) ?? there.mode & 0o7777);
    copyTimes(there, host);
  }
  return { root: destination.root, path: `${cleanPath(`${destination.path}/${below}`)}/` };
}
