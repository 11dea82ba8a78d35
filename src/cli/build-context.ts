/** A directory as a build's context: a tar of what `.dockerignore` leaves. */

import { once } from "node:events";
import { createReadStream, existsSync, type Stats } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { basename, isAbsolute, join, relative, resolve } from "node:path";
import dockerignore from "@balena/dockerignore";
import { pack } from "tar-stream";
import { Fault } from "#spec/fault.ts";

export interface BuildContext {
  readonly tar: AsyncIterable<Uint8Array>;
  /** Of the tar's root. */
  readonly dockerfile: string;
}

/** A Dockerfile outside of the directory travels under this name. */
const foreignName = ".dockerfile.wherry";

/** @throws Fault `invalid` for a path that is no directory, or without a Dockerfile. */
export async function contextTar(path: string, file: string | undefined, cwd: string): Promise<BuildContext> {
  const root = resolve(cwd, path);
  const found = await lstat(root).catch(() => undefined);
  if (found === undefined)
    throw new Fault("invalid", `unable to prepare context: path ${JSON.stringify(path)} not found`);
  if (!found.isDirectory() && !found.isSymbolicLink())
    throw new Fault("invalid", `unable to prepare context: path ${JSON.stringify(path)} is no directory`);
  const wanted = file === undefined ? join(root, "Dockerfile") : resolve(cwd, file);
  if (!existsSync(wanted))
    throw new Fault(
      "invalid",
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${wanted}: no such file or directory`,
    );
  const inside = relative(root, wanted);
  const isForeign = inside.startsWith("..") || isAbsolute(inside);
  const dockerfile = isForeign ? foreignName : inside;
  const keep = await ignoreRules(root, wanted, dockerfile);
  return { tar: tarOf(root, keep, isForeign ? wanted : undefined), dockerfile };
}

/** `NAME.dockerignore` beside the Dockerfile wins. What the engine needs stays, whatever the rules say. */
async function ignoreRules(
  root: string,
  dockerfilePath: string,
  dockerfile: string,
): Promise<(path: string) => boolean> {
  const own = `${dockerfilePath}.dockerignore`;
  const path = existsSync(own) ? own : join(root, ".dockerignore");
  if (!existsSync(path)) return () => true;
  const rules = dockerignore({ ignorecase: false }).add(await readFile(path, "utf8"));
  const needed = new Set([dockerfile, ".dockerignore"]);
  return (name) => needed.has(name) || !rules.ignores(name);
}

async function* tarOf(
  root: string,
  keep: (path: string) => boolean,
  foreign: string | undefined,
): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const filled = (async () => {
    await addDirectory(tar, root, "", keep);
    if (foreign !== undefined) tar.entry({ name: foreignName }, await readFile(foreign));
    tar.finalize();
  })();
  filled.catch((error: Error) => tar.destroy(error));
  try {
    for await (const part of tar) yield part as Uint8Array;
  } finally {
    tar.destroy();
  }
  await filled;
}

type Pack = ReturnType<typeof pack>;

/** A directory that is ignored may hold what an exception brings back: all of it is looked at. */
async function addDirectory(
  tar: Pack,
  root: string,
  directory: string,
  keep: (path: string) => boolean,
): Promise<void> {
  const names = (await readdir(join(root, directory))).sort();
  for (const name of names) {
    const path = directory === "" ? name : `${directory}/${name}`;
    const found = await lstat(join(root, path));
    if (keep(path)) await addEntry(tar, join(root, path), path, found);
    if (found.isDirectory()) await addDirectory(tar, root, path, keep);
  }
}

async function addEntry(tar: Pack, source: string, name: string, found: Stats): Promise<void> {
  // Owners mean nothing on another machine, as docker build has it.
  const shared = { name, mode: found.mode & 0o7777, mtime: found.mtime, uid: 0, gid: 0 };
  if (found.isDirectory()) tar.entry({ ...shared, name: `${name}/`, type: "directory" });
  else if (found.isSymbolicLink())
    tar.entry({ ...shared, type: "symlink", linkname: await readlink(source) });
  else if (found.isFile()) {
    const entry = tar.entry({ ...shared, size: found.size });
    if (entry === null) throw new Fault("internal", `${basename(source)} could not be added to the context`);
    const ended = once(entry, "finish");
    createReadStream(source, { end: Math.max(0, found.size - 1) })
      .on("error", (error) => entry.destroy(error))
      .pipe(entry);
    await ended;
  }
}
