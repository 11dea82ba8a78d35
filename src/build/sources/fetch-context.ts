/** Contexts that are not the client's own directory: what it uploads, repositories, archives and Dockerfiles by URL. */
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BuildClient } from "#build/build-client.ts";
import { decompress, isTarHeader } from "#build/files/archive.ts";
import { Fault } from "#spec/fault.ts";
import { receiveTree } from "./context.ts";
import { fetchSource, isRemote } from "./fetch-source.ts";
import { gitAccess } from "./git-access.ts";
import { checkoutGit, contextRepository, resolveGit } from "./git-source.ts";

export interface FetchContextOptions {
  readonly client: BuildClient;
  /** Where the context's own directory is made. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** The directory with the files; a text that is no archive becomes its `Dockerfile`. @throws Fault. */
export async function fetchContext(address: string, o: FetchContextOptions): Promise<string> {
  const place = join(o.directory, `context-${randomBytes(6).toString("hex")}`);
  const repository = contextRepository(address);
  if (repository !== undefined) {
    const access = { ...(await gitAccess(o.client, repository.remote, o.signal)), signal: o.signal };
    const commit = await resolveGit(repository, access);
    return await checkoutGit(repository, commit, place, {
      ...access,
      keepGitDir: repository.keepGitDir ?? false,
    });
  }
  await mkdir(place, { mode: 0o700 });
  const body = await opened(address, place, o);
  const files = join(place, "files");
  await mkdir(files, { mode: 0o755 });
  const stream = await decompress(body);
  if (isTarHeader(stream.head)) await receiveTree(stream.bytes, files, o.signal);
  else await writeFile(join(files, "Dockerfile"), await textOf(stream.bytes, address));
  return files;
}

async function opened(
  address: string,
  place: string,
  o: FetchContextOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const uploaded = await o.client.upload(address, o.signal);
  if (uploaded !== undefined) return uploaded;
  if (!isRemote(address))
    throw new Fault("invalid", `the context ${address} is neither a repository nor an address`);
  const { path } = await fetchSource(address, { directory: place, checksum: "", signal: o.signal });
  return createReadStream(path);
}

/** A Dockerfile is text for people; 4 MiB of it is a mistake. */
const textBytesMax = 4 << 20;

async function textOf(bytes: AsyncIterable<Uint8Array>, address: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of bytes) {
    length += part.length;
    if (length > textBytesMax)
      throw new Fault("invalid", `${address} is neither an archive nor a Dockerfile`);
    parts.push(part);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch (cause) {
    throw new Fault("invalid", `${address} is neither an archive nor a Dockerfile`, { cause });
  }
}
