/**
 * The work of one node: files in, a layer out.
 * Owns: how each operation reads its inputs and what its key is made of. Never: asks the cache, or decides what runs when.
 */

import type { BuildClient } from "#build/build-client.ts";
import type { BuildEngine } from "#build/build-engine.ts";
import type { CacheMounts } from "#build/cache/cache-mounts.ts";
import { clampTimes, removeStubs } from "#build/files/changes.ts";
import { missingSource } from "#build/files/missing-source.ts";
import type { SourceTree } from "#build/files/source-tree.ts";
import type { NewLayer, Workspaces } from "#build/files/workspace.ts";
import { type BuildNode, canonical, type Operation, sha256Of } from "#build/request/graph.ts";
import type { VertexVoice } from "#build/request/tell.ts";
import { gitAccess } from "#build/sources/git-access.ts";
import type { ContainerConfig } from "#spec/container.ts";
import type { ChainId } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import { RunMounts } from "./run-mounts.ts";
import { type PreparedTransfer, prepareTransfer } from "./transfer.ts";

export interface NodeParts {
  readonly engine: BuildEngine;
  readonly workspaces: Workspaces;
  readonly cacheMounts: CacheMounts;
  readonly client: BuildClient;
  /** The build's own directory. */
  readonly scratch: string;
  /** A directory in memory, for secrets. */
  readonly memory: string;
  readonly cacheNamespace: string;
  /** SOURCE_DATE_EPOCH; undefined for none. */
  readonly epochMs: number | undefined;
}

/** What an input came to. */
export interface InputFiles {
  readonly chainId?: ChainId | undefined;
  readonly tree: SourceTree;
}

/** Of a node's input, opened when it is asked for. */
export type OpenInput = (index: number) => Promise<InputFiles>;

type Run = Extract<Operation, { readonly kind: "run" }>;

/** A node whose sources are known. */
export interface PreparedWork {
  /** Stands for all that the work reads but for the file system it works on. */
  readonly key: string;
  /** Names of what it reads and a hash of each, file by file where there are not too many: to say what changed. */
  readonly reads: () => Readonly<Record<string, string>>;
  /** A layer also when nothing was changed. */
  perform(
    root: ChainId | undefined,
    o: { readonly voice: VertexVoice; readonly signal: AbortSignal },
  ): Promise<NewLayer | undefined>;
}

/** Looks at what the node reads. Opens inputs as it needs them. @throws Fault in BuildKit's words. */
export async function prepareNode(
  node: BuildNode,
  open: OpenInput,
  parts: NodeParts,
  signal: AbortSignal,
): Promise<PreparedWork> {
  const { operation } = node;
  switch (operation.kind) {
    case "make-directory":
      return makeDirectory(operation, parts);
    case "transfer":
      return await transferWork(operation, open, parts, signal);
    case "run":
      return await runWork(node, operation, open, parts, signal);
    default:
      throw new Fault("internal", `${operation.kind} is no work`);
  }
}

/** What of the operation itself counts for its key. */
export function operationKey(operation: Operation, epochMs: number | undefined): string {
  if (operation.kind !== "run") return canonical([operation, epochMs ?? null]);
  const hidden = new Set(operation.work.hidden);
  const env = operation.work.env.filter((line) => !hidden.has(line.slice(0, line.indexOf("="))));
  return canonical([{ ...operation, work: { ...operation.work, env, hidden: [] } }, epochMs ?? null]);
}

function settleOf(parts: NodeParts): { settle?: (changes: string) => Promise<void> } {
  const { epochMs } = parts;
  return epochMs === undefined ? {} : { settle: async (changes) => await clampTimes(changes, epochMs) };
}

function makeDirectory(
  { path, user }: Extract<Operation, { readonly kind: "make-directory" }>,
  parts: NodeParts,
): PreparedWork {
  return {
    key: path,
    reads: () => ({}),
    perform: async (root, { signal }) =>
      await parts.workspaces.makeDirectory(root, path, { user, signal, always: true, ...settleOf(parts) }),
  };
}

async function transferWork(
  { transfer, input }: Extract<Operation, { readonly kind: "transfer" }>,
  open: OpenInput,
  parts: NodeParts,
  signal: AbortSignal,
): Promise<PreparedWork> {
  const tree = input === undefined ? undefined : (await open(input)).tree;
  const { workspaces, scratch } = parts;
  const prepared: PreparedTransfer = await prepareTransfer(transfer, tree, {
    ...{ workspaces, scratch, dialect: "buildkit", signal },
    gitAccess: async (remote) => await gitAccess(parts.client, remote, signal),
  });
  return {
    key: prepared.hash,
    reads: prepared.reads,
    perform: async (root, o) => {
      const options = { signal: o.signal, always: true, ...settleOf(parts) };
      if (!transfer.link) return await prepared.perform(root, options);
      // On its own first: the layer is the same whatever is below it.
      const alone = await prepared.perform(undefined, options);
      if (alone === undefined || root === undefined) return alone;
      try {
        return await workspaces.lay(alone, root, o.signal);
      } finally {
        await parts.engine.images.dropLayer(alone.chainId);
      }
    },
  };
}

async function runWork(
  node: BuildNode,
  operation: Run,
  open: OpenInput,
  parts: NodeParts,
  signal: AbortSignal,
): Promise<PreparedWork> {
  const found: [mount: string, files: Record<string, string>][] = [];
  const hashes: Record<string, string> = {};
  for (const { mount, input } of operation.mounts) {
    if (input === undefined) continue;
    const { tree } = await open(input);
    // What fills a cache mount does not count: the cache outlives it.
    if (mount.type !== "bind") continue;
    const path = mount.source || "/";
    const [source] = await tree.find(path, { signal }).catch(async (error: unknown) => {
      if (!isFault(error, "not-found")) throw error;
      throw missingSource(path, await tree.namesBeside(path));
    });
    hashes[`mount ${mount.target}`] = source?.hash ?? "";
    if (source !== undefined) found.push([`mounted on ${mount.target}`, tree.filesOf(source)]);
  }
  const named = ([place, files]: (typeof found)[number]) =>
    Object.entries(files).map(([path, hash]) => [`${path} ${place}`, hash] as const);
  return {
    key: sha256Of(canonical(hashes)),
    reads: () => Object.fromEntries(found.flatMap(named)),
    perform: async (root, o) => await run(node, operation, { open, parts, root, ...o }),
  };
}

interface Running {
  readonly open: OpenInput;
  readonly parts: NodeParts;
  readonly root: ChainId | undefined;
  readonly voice: VertexVoice;
  readonly signal: AbortSignal;
}

async function run(node: BuildNode, operation: Run, o: Running): Promise<NewLayer | undefined> {
  const { parts, root, voice, signal } = o;
  const { work, config } = operation;
  const env = [...(config.Env ?? []), ...work.env];
  await using stack = new AsyncDisposableStack();
  const wanted = [];
  for (const { mount, input } of operation.mounts)
    wanted.push({ mount, source: input === undefined ? undefined : await o.open(input) });
  const workdir = config.WorkingDir || "/";
  const mounts = stack.use(
    await RunMounts.prepare(wanted, { workdir, env, script: work.script }, { ...parts, signal }),
  );
  const stubs = mounts.mounts.length === 0 ? [] : await stubsOf(mounts, root, parts);
  const { epochMs } = parts;
  const running = parts.engine.containers.runOnce({
    ...(root !== undefined && { chainId: root }),
    config: containerConfig(operation, [...env, ...mounts.env]),
    host: {
      ...operation.host,
      ...(work.network !== "" && { NetworkMode: work.network }),
      ...(work.security === "insecure" && { Privileged: true }),
      ...(mounts.mounts.length > 0 && { Mounts: mounts.mounts }),
    },
    signal,
    always: true,
    ...((stubs.length > 0 || epochMs !== undefined) && {
      settle: async (changes: string) => {
        removeStubs(changes, stubs);
        if (epochMs !== undefined) await clampTimes(changes, epochMs);
      },
    }),
    onOutput: ({ stream, bytes }) => voice.log(stream, bytes),
  });
  const ran = await running.catch((thrown: unknown) => {
    throw notStarted(work.args, thrown);
  });
  if (ran.exitCode !== 0)
    throw new Fault("invalid", `${incomplete(work.args)}: exit code: ${ran.exitCode}`, {
      detail: { exitCode: ran.exitCode, vertex: node.digest },
    });
  return ran.layer;
}

function incomplete(args: readonly string[]): string {
  return `process ${JSON.stringify(args.join(" "))} did not complete successfully`;
}

/** What a container says of its start, without the words for a container. */
function notStarted(args: readonly string[], thrown: unknown): unknown {
  if (!(thrown instanceof Fault) || thrown.kind !== "invalid") return thrown;
  const { kind, message, detail } = thrown;
  const why = message.replace(/^failed to create task.*?OCI runtime create failed: (.*): unknown$/s, "$1");
  return new Fault(kind, `${incomplete(args)}: ${why}`, { cause: thrown, detail });
}

async function stubsOf(mounts: RunMounts, root: ChainId | undefined, parts: NodeParts) {
  await using workspace = await parts.workspaces.acquire(root);
  return mounts.stubs(workspace.root);
}

function containerConfig({ work, config, hostname }: Run, env: readonly string[]): ContainerConfig {
  return {
    ...(config.User !== undefined && { User: config.User }),
    WorkingDir: config.WorkingDir || "/",
    Hostname: hostname,
    Env: [...env],
    Cmd: [...work.args],
    Entrypoint: null,
    Healthcheck: { Test: ["NONE"] },
    AttachStdout: true,
    AttachStderr: true,
  };
}
