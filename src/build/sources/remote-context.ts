/** What `remote` of `POST /build` names: a repository, or an archive or a Dockerfile by its address. */
import { createReadStream, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { type ReceivedContext, type ReceiveOptions, readContext, receiveContext } from "./context.ts";
import { fetchSource, isRemote } from "./fetch-source.ts";
import { checkoutGit, contextRepository, resolveGit } from "./git-source.ts";

export interface RemoteContext extends ReceivedContext {
  /** Absent for a repository. */
  readonly downloadedBytes?: number;
}

/** @throws Fault `invalid` for what is no address, or in the words of the server or of git. */
export async function receiveRemote(address: string, o: ReceiveOptions): Promise<RemoteContext> {
  const { directory, signal } = o;
  if (address === "client-session")
    throw new Fault(
      "invalid",
      "experimental session with v1 builder is no longer supported, use builder version v2 (BuildKit) instead",
    );
  const repository = contextRepository(address);
  if (repository !== undefined) {
    const commit = await resolveGit(repository, { signal });
    const keepGitDir = repository.keepGitDir ?? false;
    const place = join(directory, "repository");
    return await readContext(await checkoutGit(repository, commit, place, { signal, keepGitDir }), o);
  }
  if (!isRemote(address)) throw new Fault("invalid", `remoteURL (${address}) could not be recognized as URL`);
  const [download, files] = [join(directory, "download"), join(directory, "files")];
  await mkdir(download);
  await mkdir(files);
  const { path } = await fetchSource(address, { directory: download, checksum: "", signal }).catch(
    (cause: unknown) => {
      signal.throwIfAborted();
      const { kind, message } = Fault.from(cause);
      throw new Fault(kind, `error downloading remote context ${address}: ${message}`, { cause });
    },
  );
  const downloadedBytes = statSync(path).size;
  return {
    ...(await receiveContext(createReadStream(path), { ...o, directory: files })),
    downloadedBytes,
  };
}
