/** The one place where the builder meets the store's unpacking. */
import type { ContentHashes } from "#store/tar/content-hashes.ts";
import { unpackTar } from "#store/trees/unpack.ts";

/**
 * The entries of a plain tar as files beneath `directory`, which must exist: owners, modes and times as the tar says,
 * nothing outside it, names that begin with `.wh.` taken as ordinary ones. What was unpacked stays when it fails.
 * @throws Fault `invalid` for a damaged or hostile tar; the signal's reason.
 */
export function unpackInto(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  o: { readonly signal: AbortSignal; readonly hashes?: ContentHashes | undefined },
): Promise<unknown> {
  return Promise.resolve(unpackTar(tar, directory, o));
}
