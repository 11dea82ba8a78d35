/**
 * The layers a build made as one: `--squash`.
 * Promises: the files are the same, the base's layers stay; what steps made and removed again is nowhere any more.
 */
import { lstatSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { unpackInto } from "#build/files/unpack-into.ts";
import type { Workspaces } from "#build/files/workspace.ts";
import type { PlatformResult } from "#build/request/build-request.ts";
import type { ChainId } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Layers } from "#store/layers/layers.ts";
import { rewriteTar } from "#store/tar/rewrite-tar.ts";
import { tarEntries } from "#store/tar/tar-entries.ts";
import { chainOf } from "./compose-image.ts";

const whiteout = ".wh.";
const opaque = ".wh..wh..opq";

export async function squash(
  result: PlatformResult,
  parts: { readonly layers: Pick<Layers, "get" | "tar">; readonly workspaces: Workspaces },
  signal: AbortSignal,
): Promise<PlatformResult> {
  const { layers, workspaces } = parts;
  const base = result.base?.chainId;
  const whole = chainOf(result.chainId, layers);
  const first = base === undefined ? 0 : whole.findIndex(({ chainId }) => chainId === base) + 1;
  const made = whole.slice(first);
  if (made.length < 2) return result;
  await using workspace = await workspaces.acquire(base);
  for (const { chainId } of made) await lay(chainId, workspace.root, layers, signal);
  const layer = await workspace.commit({ signal, always: true });
  if (layer === undefined) throw new Fault("internal", "the squashed layer was not made");
  const { config } = result;
  const kept = result.base?.historyLines ?? 0;
  const { created } = config;
  const merged = { ...(created !== undefined && { created }), comment: `merge of ${made.length} layers` };
  const history = [
    ...config.history.map((line, at) => (at < kept ? line : { ...line, empty_layer: true })),
    merged,
  ];
  const diffIds = [...whole.slice(0, first).map(({ diffId }) => diffId), layer.diffId];
  return {
    ...result,
    chainId: layer.chainId,
    config: { ...config, history, rootfs: { type: "layers", diff_ids: diffIds } },
  };
}

/** A layer's changes upon files that are there: what it removes, then what it has. */
async function lay(
  chainId: ChainId,
  root: string,
  layers: Pick<Layers, "tar">,
  signal: AbortSignal,
): Promise<void> {
  for await (const { name } of tarEntries(layers.tar(chainId, { signal }), { signal })) {
    const path = Buffer.from(name, "latin1").toString();
    const own = basename(path);
    if (!own.startsWith(whiteout)) continue;
    const directory = directoryAt(root, dirname(path));
    if (directory === undefined) continue;
    if (own !== opaque) rmSync(join(directory, own.slice(whiteout.length)), { recursive: true, force: true });
    else
      for (const each of readdirSync(directory))
        rmSync(join(directory, each), { recursive: true, force: true });
  }
  const tar = layers.tar(chainId, { signal });
  const rest = rewriteTar(tar, (entry) => (basename(entry.name).startsWith(whiteout) ? undefined : entry), {
    signal,
  });
  await unpackInto(rest, root, { signal });
}

/**
 * The directory of that path, links not followed: where there is something else, the layer puts a directory of its own in its
 * place, and there is nothing in it to remove.
 */
function directoryAt(root: string, path: string): string | undefined {
  let at = root;
  for (const part of path.split("/").filter((each) => each !== "" && each !== ".")) {
    at = join(at, part);
    if (part === ".." || lstatSync(at, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  }
  return at;
}
