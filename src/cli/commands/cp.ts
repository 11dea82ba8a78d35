/** `cp`: files between a container and this machine. */
import { lstat, readlink, realpath, stat } from "node:fs/promises";
import { posix, resolve } from "node:path";
import { type Command, type Invocation, write } from "#cli/flags/command.ts";
import {
  type CopyEnd,
  type CopyPlan,
  endsInDot,
  endsInSlash,
  followedName,
  keepEnd,
  planCopy,
  splitCopyArgument,
  splitEntry,
} from "#cli/terminal/copy-paths.ts";
import { CopyProgress } from "#cli/terminal/copy-progress.ts";
import { checkOutputPath } from "#cli/terminal/output-file.ts";
import type { FilesClient } from "#client/archives.ts";
import type { Client } from "#client/client.ts";
import { hasGoMode } from "#spec/docker-archive.ts";
import { Fault, isFault } from "#spec/fault.ts";

/** A link that leads to links: after so many it is a circle. */
const localLinksMax = 10;

/** What a copy goes to or comes from: its word, and the requests about its files. */
interface Place {
  readonly word: "container" | "volume";
  readonly command: string;
  readonly files: (client: Client) => FilesClient;
}

/** `cp` of containers, and the same for volumes. */
export function copyCommand(place: Place): Command {
  const { word, command } = place;
  const WORD = word.toUpperCase();
  return {
    usage: `[OPTIONS] ${WORD}:SRC_PATH DEST_PATH|-\n\t${command} [OPTIONS] SRC_PATH|- ${WORD}:DEST_PATH`,
    flags: [
      { name: "archive", short: "a", kind: "switch", help: "Archive mode (copy all uid/gid information)" },
      { name: "follow-link", short: "L", kind: "switch", help: "Always follow symbol link in SRC_PATH" },
      {
        name: "quiet",
        short: "q",
        kind: "switch",
        help: "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached",
      },
    ],
    least: 2,
    most: 2,
    run: async (o) => {
      const [source = "", destination = ""] = o.args;
      if (source === "") throw new Fault("invalid", "source can not be empty");
      if (destination === "") throw new Fault("invalid", "destination can not be empty");
      const [from, to] = [splitCopyArgument(source), splitCopyArgument(destination)];
      if (from.container !== "" && to.container !== "")
        throw new Fault("invalid", `copying between ${word}s is not supported`);
      if (from.container === "" && to.container === "")
        throw new Fault("invalid", `must specify at least one ${word} source`);
      return from.container === ""
        ? await copyIn(o, place, from.path, to)
        : await copyOut(o, place, from, to.path);
    },
  };
}

const cp = copyCommand({ word: "container", command: "wherry cp", files: ({ archives }) => archives });

type End = ReturnType<typeof splitCopyArgument>;

async function copyOut(o: Invocation, { word, files }: Place, from: End, target: string): Promise<number> {
  const { io, flags } = o;
  const { container, path: asked } = from;
  const destination = target === "-" ? target : keepEnd(resolve(io.cwd, target), target);
  await checkOutputPath(destination);
  const archives = files(await o.client());
  const { path, rename } = flags.on("follow-link")
    ? await followedInside(archives, container, asked)
    : { path: asked, rename: undefined };
  const { stat: found, tar } = await archives.read(container, path);
  if (destination === "-") {
    for await (const part of tar) await write(io.stdout, part);
    return 0;
  }
  const source: CopyEnd = {
    path,
    exists: true,
    isDirectory: hasGoMode(found.mode, "directory"),
    ...(rename !== undefined && { rename }),
  };
  using progress = new CopyProgress(io, `Copying from ${word} - `, isQuiet(o));
  const { unpackLocal } = await import("#cli/terminal/local-unpack.ts");
  const plan = planCopy({ ...source, ...renameless(source) }, await localDestination(destination));
  await unpackLocal(progress.count(tar), joined(source, plan));
  await progress.end(`Successfully copied %s to ${destination}`);
  return 0;
}

/** The archive of a followed link bears the target's name; the copy that of the link. */
function joined(source: CopyEnd, plan: CopyPlan): CopyPlan {
  if (source.rename === undefined) return plan;
  const from = splitEntry(source.path).name;
  return { ...plan, rename: { from, to: plan.rename?.to ?? source.rename } };
}

function renameless({ path, exists, isDirectory }: CopyEnd): CopyEnd {
  return { path, exists, isDirectory };
}

type Archives = FilesClient;

async function followedInside(
  archives: Archives,
  container: string,
  asked: string,
): Promise<{ readonly path: string; readonly rename?: string | undefined }> {
  const found = await statInside(archives, container, asked);
  if (found === undefined || !hasGoMode(found.mode, "symlink")) return { path: asked };
  return followedName(asked, absoluteTarget(asked, found.linkTarget));
}

function absoluteTarget(link: string, target: string): string {
  return target.startsWith("/") ? target : posix.join(splitEntry(link).directory, target);
}

async function statInside(archives: Archives, container: string, path: string) {
  try {
    return await archives.stat(container, path);
  } catch (thrown) {
    // Whatever is wrong shows when the copy is tried.
    if (isFault(thrown, "unavailable")) throw thrown;
    return undefined;
  }
}

/** What is where a local copy goes, links followed. @throws Fault `invalid` when not even its directory is there. */
async function localDestination(path: string): Promise<CopyEnd> {
  let at = path;
  for (let links = 0; ; links++) {
    if (links > localLinksMax) throw new Fault("invalid", `too many symlinks in ${path}`);
    const found = await lstat(at).catch(missing);
    if (found === undefined) break;
    if (!found.isSymbolicLink()) return { path: at, exists: true, isDirectory: found.isDirectory() };
    at = absoluteTarget(at, await readlink(at));
  }
  const { directory } = splitEntry(at);
  if (!(await stat(directory)).isDirectory()) throw new Fault("invalid", "not a directory");
  return { path: at, exists: false, isDirectory: false };
}

function missing(error: Error & { readonly code?: string }): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
}

async function copyIn(o: Invocation, { word, files }: Place, asked: string, to: End): Promise<number> {
  const { io, flags } = o;
  const { container, path: target } = to;
  const archives = files(await o.client());
  const options = { keepKinds: true, asUser: flags.on("archive") };
  const source =
    asked === "-" ? undefined : await localSource(resolveLocal(io.cwd, asked), flags.on("follow-link"));
  const destination = await containerDestination(archives, container, target);
  if (source === undefined) {
    if (!destination.isDirectory)
      throw new Fault("invalid", `destination "${container}:${target}" must be a directory`);
    await archives.write(container, destination.path, io.stdin as AsyncIterable<Uint8Array>, options);
    return 0;
  }
  const plan = planCopy(source, destination);
  const called = plan.rename?.to ?? source.rename ?? splitEntry(source.path).name;
  using progress = new CopyProgress(io, `Copying to ${word} - `, isQuiet(o));
  const { packLocal } = await import("#cli/terminal/local-pack.ts");
  await archives.write(container, plan.directory, progress.count(packLocal(source.path, called)), options);
  await progress.end(`Successfully copied %s to ${container}:${destination.path}`);
  return 0;
}

function resolveLocal(cwd: string, path: string): string {
  return keepEnd(resolve(cwd, path), path);
}

/** The links in a local path are followed, its last part only when asked for, or when what is behind it is meant. */
async function localSource(path: string, follow: boolean): Promise<CopyEnd> {
  try {
    const { path: real, rename } = await realSource(path, follow);
    const found = await lstat(real);
    return {
      path: real,
      exists: true,
      isDirectory: found.isDirectory(),
      ...(rename !== undefined && { rename }),
    };
  } catch (error) {
    throw localFault(error, path);
  }
}

async function realSource(
  path: string,
  follow: boolean,
): Promise<{ readonly path: string; readonly rename?: string | undefined }> {
  if (follow || endsInSlash(path)) return followedName(path, await realpath(path));
  return { path: posix.join(await realpath(posix.dirname(path)), posix.basename(path)) + dotOf(path) };
}

/** `posix.join` takes it away. */
function dotOf(path: string): string {
  return endsInDot(path) ? "/." : "";
}

function localFault(error: unknown, path: string): unknown {
  if (!(error instanceof Error && "code" in error)) return error;
  if (error.code === "ENOENT")
    return new Fault("not-found", `lstat ${path}: no such file or directory`, { cause: error });
  if (error.code === "ENOTDIR") return new Fault("invalid", "not a directory", { cause: error });
  return error;
}

/** What is where a copy into a container goes; a link there is followed. */
async function containerDestination(archives: Archives, container: string, path: string): Promise<CopyEnd> {
  let [at, found] = [path, await statInside(archives, container, path)];
  if (found !== undefined && hasGoMode(found.mode, "symlink")) {
    at = absoluteTarget(path, found.linkTarget);
    found = await statInside(archives, container, at);
  }
  if (found !== undefined && hasGoMode(found.mode, "device"))
    throw new Fault(
      "invalid",
      `destination "${container}:${path}" must be a directory or a regular file: got a device`,
    );
  return {
    path: at,
    exists: found !== undefined,
    isDirectory: found !== undefined && hasGoMode(found.mode, "directory"),
  };
}

/** Without a terminal there is nothing to tell, unless it is asked for. */
function isQuiet({ io, flags }: Invocation): boolean {
  return flags.has("quiet") ? flags.on("quiet") : !io.stdout.isTTY;
}

export const commands: Readonly<Record<string, Command>> = { cp };
