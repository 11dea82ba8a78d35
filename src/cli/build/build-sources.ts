/** Where a build's files are: a directory, stdin, an address; the Dockerfile within, elsewhere or on stdin. */
import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import type { CliIo } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";

export interface BuildSources extends AsyncDisposable {
  readonly directories: ReadonlyMap<string, string>;
  readonly options: Readonly<Record<string, string>>;
  readonly upload?: AsyncIterable<Uint8Array> | undefined;
  /** Equal for one directory. */
  readonly sharedKey: string;
}

export interface SourceFlags {
  readonly path: string;
  readonly file: string | undefined;
  /** `NAME=VALUE`. */
  readonly contexts: readonly string[];
}

const remote = /^(?:https?:\/\/|git:\/\/|git@|github\.com\/|ssh:\/\/)|\.git(?:#.*)?$/;

/** @throws Fault `invalid` for what is not there. */
export async function openSources(io: CliIo, o: SourceFlags): Promise<BuildSources> {
  const temporary = await mkdtemp(join(tmpdir(), "wherry-build-"));
  const directories = new Map<string, string>();
  const options: Record<string, string> = {};
  const dispose = async (): Promise<void> => await rm(temporary, { recursive: true, force: true });
  try {
    let upload: AsyncIterable<Uint8Array> | undefined;
    if (o.path === "-") {
      if (o.file === "-")
        throw new Fault("invalid", "invalid argument: can't use stdin for both build context and dockerfile");
      const { first, all } = await peek(io.stdin as AsyncIterable<Uint8Array>);
      if (isArchive(first)) {
        upload = all;
        options["context"] = "http://buildkit-session/context";
        options["filename"] = o.file ?? "Dockerfile";
      } else {
        await writeFile(join(temporary, "Dockerfile"), Buffer.concat(await Array.fromAsync(all)));
        directories.set("dockerfile", temporary);
      }
    } else if (remote.test(o.path) && !existsSync(resolve(io.cwd, o.path))) {
      options["context"] = o.path;
      if (o.file !== undefined && o.file !== "-") options["filename"] = o.file;
    } else await local(io, o, directories, options);
    if (o.file === "-") {
      await writeFile(
        join(temporary, "Dockerfile"),
        Buffer.concat(await Array.fromAsync(io.stdin as AsyncIterable<Uint8Array>)),
      );
      directories.set("dockerfile", temporary);
      options["filename"] = "Dockerfile";
      if (options["context"] !== undefined) options["dockerfilekey"] = "dockerfile";
    }
    for (const text of o.contexts) named(io, text, directories, options);
    const sharedKey = `wherry:${directories.get("context") ?? ""}`;
    return { directories, options, upload, sharedKey, [Symbol.asyncDispose]: dispose };
  } catch (thrown) {
    await dispose();
    throw thrown;
  }
}

async function local(
  io: CliIo,
  o: SourceFlags,
  directories: Map<string, string>,
  options: Record<string, string>,
): Promise<void> {
  const root = resolve(io.cwd, o.path);
  if (!existsSync(root))
    throw new Fault("invalid", `unable to prepare context: path ${JSON.stringify(o.path)} not found`);
  if (!statSync(root).isDirectory())
    throw new Fault("invalid", `unable to prepare context: path ${JSON.stringify(o.path)} is no directory`);
  directories.set("context", root);
  options["wherry:context"] = root;
  if (o.file === "-") return;
  const dockerfile = o.file === undefined ? join(root, "Dockerfile") : resolve(io.cwd, o.file);
  const lower = join(dirname(dockerfile), "dockerfile");
  const found =
    existsSync(dockerfile) || basename(dockerfile) !== "Dockerfile" || !existsSync(lower)
      ? dockerfile
      : lower;
  if (!existsSync(found))
    throw new Fault(
      "invalid",
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${found}: no such file or directory`,
    );
  directories.set("dockerfile", dirname(found));
  options["filename"] = basename(found);
  // Says what was built to who looks at the history; the build takes no notice of it.
  options["wherry:dockerfile"] = found;
}

/** A named context: a directory, an image, an address. */
function named(
  io: CliIo,
  text: string,
  directories: Map<string, string>,
  options: Record<string, string>,
): void {
  const [name = "", value = ""] = text.split(/=(.*)/s, 2);
  if (name === "" || value === "")
    throw new Fault("invalid", `invalid context value: ${text}, expected key=value`);
  if (/^(?:docker-image|oci-layout|target):\/\//.test(value) || remote.test(value)) {
    options[`context:${name}`] = value;
    return;
  }
  const root = resolve(io.cwd, value);
  if (!existsSync(root) || !statSync(root).isDirectory())
    throw new Fault("invalid", `failed to get build context ${name}: ${value} is no directory`);
  const key = directories.has(name) || name === "context" || name === "dockerfile" ? `_${name}` : name;
  directories.set(key, root);
  options[`context:${name}`] = `local:${key}`;
}

async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly first: Uint8Array; readonly all: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < 512) {
    const next = await iterator.next();
    if (next.done === true) break;
    parts.push(next.value);
    length += next.value.length;
  }
  const all = (async function* () {
    yield* parts;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  })();
  return { first: Buffer.concat(parts), all };
}

const magics = ["1f8b", "425a68", "fd377a585a00", "28b52ffd"];

function isArchive(head: Uint8Array): boolean {
  const hex = Buffer.from(head.subarray(0, 6)).toString("hex");
  if (magics.some((magic) => hex.startsWith(magic))) return true;
  return Buffer.from(head.subarray(257, 262)).toString("latin1") === "ustar";
}
