/**
 * Brings a graph's nodes to their results.
 * Owns: what runs when, and what the cache is asked. Promises: a node is done once however many want it, also across builds
 * that run at once; inputs that only a step done before would read are not even looked at; all stops with the signal.
 * Never: does a node's work itself.
 */

import type { BuildCache, StepResult } from "#build/cache/build-cache.ts";
import type { ImportedCaches } from "#build/cache/cache-import.ts";
import { SourceTree } from "#build/files/source-tree.ts";
import type { SolvedStep } from "#build/request/build-request.ts";
import { BuildGraph, type BuildNode, canonical, sha256Of } from "#build/request/graph.ts";
import type { BuildProgress } from "#build/request/progress.ts";
import { during, tellCached, tellFailed, type VertexVoice } from "#build/request/tell.ts";
import type { BuildInputs } from "#build/sources/build-inputs.ts";
import type { ChainId } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { Gate } from "#store/gate.ts";
import { SharedWork } from "#store/shared-work.ts";
import type { Misses } from "./misses.ts";
import {
  type InputFiles,
  type NodeParts,
  operationKey,
  type PreparedWork,
  prepareNode,
} from "./node-work.ts";

/** Steps that work at once, over all builds. */
export const stepsAtOnceMax = 16;

/** What builds of one engine share. */
export class SolverHall {
  readonly gate = new Gate(stepsAtOnceMax);
  readonly work = new SharedWork<string, StepResult, Heard>();
}

type Heard = { readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array };

export interface SolverParts extends NodeParts {
  readonly hall: SolverHall;
  readonly cache: BuildCache;
  readonly inputs: BuildInputs;
  readonly progress: BuildProgress;
  readonly misses: Misses;
  /** What caches named for it are known to hold; for this build alone, whose user trusts them. */
  readonly imported: Pick<ImportedCaches, "find">;
  readonly now: () => Date;
  readonly signal: AbortSignal;
}

/** A fault of one node. */
export class NodeFault extends Fault {
  readonly node: BuildNode;

  constructor(node: BuildNode, cause: Fault) {
    super(cause.kind, cause.message, { cause, detail: cause.detail });
    this.node = node;
  }
}

function faultOf(node: BuildNode, error: unknown): Fault {
  const fault = Fault.from(error);
  return fault instanceof NodeFault || fault.kind === "cancelled" ? fault : new NodeFault(node, fault);
}

const nothing: StepResult = { createdMs: 0 };

export class Solver implements AsyncDisposable {
  readonly #parts: SolverParts;
  readonly #results = new Map<BuildNode, Promise<StepResult>>();
  readonly #wholes = new Map<BuildNode, Promise<string | undefined>>();
  readonly #keys = new Map<BuildNode, Promise<string | undefined>>();
  readonly #trees = new Map<ChainId | undefined, Promise<SourceTree>>();
  readonly #files = new Map<BuildNode, Promise<SourceTree>>();
  readonly #prepared = new Map<BuildNode, Promise<PreparedWork>>();
  readonly #stack = new AsyncDisposableStack();
  readonly #told = new Set<BuildNode>();
  /** Keys by which a node was found or done. */
  readonly #known = new Map<BuildNode, readonly string[]>();
  /** Work that this build began, for whoever waits for it. */
  readonly #begun = new Set<Promise<unknown>>();

  constructor(parts: SolverParts) {
    this.#parts = parts;
  }

  /** What the node came to; undefined stands for an empty file system. @throws Fault of the node that failed. */
  result(node: BuildNode | undefined): Promise<StepResult> {
    if (node === undefined) return Promise.resolve(nothing);
    const known = this.#results.get(node);
    if (known !== undefined) return known;
    const solving = this.#solve(node).catch((error: unknown) => {
      throw faultOf(node, error);
    });
    solving.catch(() => undefined);
    this.#results.set(node, solving);
    return solving;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([
      ...this.#results.values(),
      ...this.#files.values(),
      ...this.#prepared.values(),
    ]);
    // Another build may still wait for what this one began with its files.
    await Promise.allSettled(this.#begun);
    await this.#stack.disposeAsync();
  }

  /** Tells what steps have read. Nothing is worked on any more. */
  async tellReadings(): Promise<void> {
    const { misses, cache } = this.#parts;
    for (const [node, preparing] of this.#prepared) {
      const own = this.#results.get(node);
      const [prepared, result] = await Promise.allSettled([preparing, own]);
      // One that failed is done again whatever it reads.
      if (prepared.status === "rejected" || result.status === "rejected") continue;
      const below = result.value === undefined ? undefined : (cache.below(result.value) ?? "nothing");
      misses.read(node, { prepared: prepared.value, below });
    }
  }

  async #solve(node: BuildNode): Promise<StepResult> {
    const { operation } = node;
    // A chain may be as long as a Dockerfile: each link begins on an empty stack.
    await undefined;
    this.#parts.signal.throwIfAborted();
    if (operation.kind === "files") throw new Fault("internal", "a context has no layers");
    if (operation.kind === "image") {
      this.#hold(operation.chainId);
      this.#cached(node);
      return operation.chainId === undefined ? nothing : { chainId: operation.chainId, createdMs: 0 };
    }
    const whole = await this.#whole(node);
    const complete = whole === undefined ? undefined : await this.#find(whole, node);
    if (complete !== undefined) return this.#hit(node, complete, [whole]);
    // What it reads is made while what it stands on is.
    for (const input of node.inputs.slice(1)) if (input?.operation.kind !== "files") void this.result(input);
    const root = await this.result(node.inputs[0]);
    const early = node.useCache ? await this.#definition(node) : undefined;
    const found = early === undefined ? undefined : await this.#find(rooted(early, root), node);
    if (found !== undefined && early !== undefined) {
      if (whole !== undefined) this.#parts.cache.alias(whole, rooted(early, root));
      return this.#hit(node, found, [rooted(early, root), whole]);
    }
    const prepared = await this.#prepare(node);
    const late = rooted(
      sha256Of(canonical([operationKey(operation, this.#parts.epochMs), prepared.key])),
      root,
    );
    const known = node.useCache ? await this.#find(late, node) : undefined;
    if (known !== undefined) {
      for (const key of [early === undefined ? undefined : rooted(early, root), whole])
        if (key !== undefined) this.#parts.cache.alias(key, late);
      return this.#hit(node, known, [late, early === undefined ? undefined : rooted(early, root), whole]);
    }
    const keys = [late, early === undefined ? undefined : rooted(early, root), whole];
    return await this.#perform(
      node,
      root,
      prepared,
      keys.filter((key) => key !== undefined),
    );
  }

  async #find(key: string, node: BuildNode): Promise<StepResult | undefined> {
    return this.#parts.cache.find(key) ?? (await this.#parts.imported.find(key, baseOf(node)));
  }

  #hit(node: BuildNode, result: StepResult, keys: readonly (string | undefined)[]): StepResult {
    this.#hold(result.chainId);
    this.#know(node, keys);
    this.#cached(node);
    return result;
  }

  #know(node: BuildNode, keys: readonly (string | undefined)[]): void {
    const known = keys.filter((key) => key !== undefined);
    this.#known.set(node, [...new Set([...(this.#known.get(node) ?? []), ...known])]);
  }

  /** Steps under these nodes that are known, with all they are known by: what a cache for elsewhere is made of. */
  async steps(roots: readonly (BuildNode | undefined)[]): Promise<SolvedStep[]> {
    const { cache } = this.#parts;
    const found: SolvedStep[] = [];
    for (const node of BuildGraph.reach(roots)) {
      if (node.operation.kind === "files" || node.operation.kind === "image") continue;
      const done = await this.#results.get(node);
      const whole = await this.#whole(node);
      // A step that another one made needless may be known all the same.
      const result = done ?? (whole === undefined ? undefined : cache.find(whole));
      if (result === undefined) continue;
      const kept = result.chainId === undefined ? [] : cache.keysOf(result.chainId, whole);
      const keys = [...new Set([...(this.#known.get(node) ?? []), ...kept])];
      if (keys.length > 0) found.push({ keys, chainId: result.chainId, createdMs: result.createdMs });
    }
    return found;
  }

  /** It and all it would have read were done before. */
  #cached(node: BuildNode): void {
    const pending = [node];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (this.#told.has(next)) continue;
      this.#told.add(next);
      tellCached(this.#parts.progress, described(next));
      for (const input of next.inputs)
        if (input !== undefined && !this.#results.has(input) && input.operation.kind !== "files")
          pending.push(input);
    }
  }

  #hold(chainId: ChainId | undefined): void {
    this.#stack.use(this.#parts.cache.hold(chainId));
  }

  /**
   * A key from what the node is made of, without doing any of its inputs: files of contexts by what they hold, other nodes by
   * their own such key, the file system it works on by its layers. Undefined when an input must not be taken from the cache.
   */
  #definition(node: BuildNode): Promise<string | undefined> {
    const known = this.#keys.get(node);
    if (known !== undefined) return known;
    const making = this.#define(node);
    making.catch(() => undefined);
    this.#keys.set(node, making);
    return making;
  }

  async #define(node: BuildNode): Promise<string | undefined> {
    const { operation } = node;
    if (operation.kind === "image") return operation.chainId ?? "nothing";
    const parts = [operationKey(operation, this.#parts.epochMs)];
    // Files and addresses are read; what other nodes make is not.
    if (node.inputs.slice(1).every((input) => input?.operation.kind === "files"))
      parts.push((await this.#prepare(node)).key);
    else
      for (const input of node.inputs.slice(1)) {
        const key = input === undefined ? "nothing" : await this.#whole(input);
        if (key === undefined) return undefined;
        parts.push(key);
      }
    return sha256Of(canonical(["definition", ...parts]));
  }

  /** The key of all that leads to a node. */
  #whole(node: BuildNode): Promise<string | undefined> {
    const known = this.#wholes.get(node);
    if (known !== undefined) return known;
    const making = this.#makeWhole(node);
    making.catch(() => undefined);
    this.#wholes.set(node, making);
    return making;
  }

  async #makeWhole(node: BuildNode): Promise<string | undefined> {
    const { operation } = node;
    await undefined;
    if (!node.useCache) return undefined;
    if (operation.kind === "files") return undefined;
    if (operation.kind === "image") return operation.chainId ?? "nothing";
    const below = node.inputs[0] === undefined ? "nothing" : await this.#whole(node.inputs[0]);
    const own = await this.#definition(node);
    return below === undefined || own === undefined ? undefined : sha256Of(canonical([below, own]));
  }

  #prepare(node: BuildNode): Promise<PreparedWork> {
    const known = this.#prepared.get(node);
    if (known !== undefined) return known;
    const open = async (index: number) => await this.#open(node.inputs[index]);
    const preparing = prepareNode(node, open, this.#parts, this.#parts.signal).catch((error: unknown) => {
      // It may be asked for on behalf of a step behind it, which is not to blame.
      const fault = faultOf(node, error);
      if (fault instanceof NodeFault && fault.node === node)
        tellFailed(this.#parts.progress, described(node), fault);
      throw fault;
    });
    preparing.catch(() => undefined);
    this.#prepared.set(node, preparing);
    return preparing;
  }

  async #open(input: BuildNode | undefined): Promise<InputFiles> {
    if (input?.operation.kind === "files")
      return { tree: await this.#context(input, input.operation.context) };
    const { chainId } = await this.result(input);
    const known = this.#trees.get(chainId) ?? this.#tree(chainId);
    this.#trees.set(chainId, known);
    return { chainId, tree: await known };
  }

  #context(input: BuildNode, key: string): Promise<SourceTree> {
    const known = this.#files.get(input);
    if (known !== undefined) return known;
    const loading = during(
      this.#parts.progress,
      described(input),
      async (voice) => await this.#parts.inputs.files(key, voice),
    );
    loading.catch(() => undefined);
    this.#files.set(input, loading);
    return loading;
  }

  async #tree(chainId: ChainId | undefined): Promise<SourceTree> {
    const workspace = this.#stack.use(await this.#parts.workspaces.acquire(chainId));
    return new SourceTree(workspace.root, "image");
  }

  async #perform(
    node: BuildNode,
    root: StepResult,
    prepared: PreparedWork,
    keys: readonly string[],
  ): Promise<StepResult> {
    const { hall, progress, signal, misses } = this.#parts;
    misses.done(node);
    this.#know(node, keys);
    this.#told.add(node);
    const [key = ""] = keys;
    const result = await during(progress, described(node), async (voice) => {
      const heard = ({ stream, bytes }: Heard) => voice.log(stream, bytes);
      // Without the cache a step is this build's own, whatever another one does.
      const shared = node.useCache ? key : `${key} ${node.digest} ${this.#parts.scratch}`;
      return await hall.work.join(
        shared,
        async (stop, tell) => await this.#begin(this.#once(node, root, prepared, { keys, stop, tell })),
        { signal, tell: heard },
      );
    });
    this.#hold(result.chainId);
    return result;
  }

  #begin<T>(work: Promise<T>): Promise<T> {
    this.#begun.add(work);
    return work;
  }

  async #once(
    node: BuildNode,
    root: StepResult,
    prepared: PreparedWork,
    o: { readonly keys: readonly string[]; readonly stop: AbortSignal; readonly tell: (news: Heard) => void },
  ): Promise<StepResult> {
    const { hall, cache, now, epochMs } = this.#parts;
    using _ = await hall.gate.enter(o.stop);
    const voice = { log: (stream: Heard["stream"], bytes: Uint8Array) => o.tell({ stream, bytes }) };
    const layer = await prepared.perform(root.chainId, { voice: voice as VertexVoice, signal: o.stop });
    o.stop.throwIfAborted();
    const createdMs = epochMs ?? now().getTime();
    const result: StepResult =
      layer === undefined
        ? { chainId: root.chainId, createdMs }
        : { chainId: layer.chainId, diffId: layer.diffId, createdMs };
    cache.remember(o.keys, result, { kind: "regular", description: node.name });
    return result;
  }
}

/** The image at the bottom of what a node works on. */
export function baseOf(node: BuildNode | undefined): ChainId | undefined {
  let at = node;
  while (at !== undefined && at.operation.kind !== "image") at = at.inputs[0];
  return at?.operation.kind === "image" ? at.operation.chainId : undefined;
}

function rooted(key: string, root: StepResult): string {
  return `${key} on ${root.chainId ?? "nothing"}`;
}

export function described(node: BuildNode) {
  const inputs = node.inputs.flatMap((input) => (input === undefined ? [] : [input.digest]));
  return {
    digest: node.digest,
    name: node.name,
    inputs,
    ...(node.group !== undefined && { group: node.group }),
  };
}
