/**
 * Images from Dockerfiles.
 * Owns: builds from the request to the tagged image, their directories and workspaces, the step cache.
 * Promises: a mistake in the request or the Dockerfile is thrown before the first message, everything after it is a
 * message; whatever the way out, no container, directory, mount or half-made layer of a build stays behind.
 * Never: keeps anything of a build that the engine does not own as an image.
 */
import { readdirSync, statfsSync } from "node:fs";
import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { HostConfig } from "#spec/container.ts";
import type { Credentials } from "#spec/credentials.ts";
import { Fault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import { imageArchitecture, parsePlatform } from "#spec/platform.ts";
import { familiarReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import { discardTree } from "#store/discard.ts";
import { explainFull } from "#store/disk-full.ts";
import { makeApart } from "#store/layers/apart.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { Records } from "#store/records.ts";
import { ContentHashes } from "#store/tar/content-hashes.ts";
import { lintReport, outlineOf, targetList } from "./answer-questions.ts";
import type { BuildEngine } from "./build-engine.ts";
import { BuildCache } from "./cache/build-cache.ts";
import { cacheImages } from "./cache/cache-images.ts";
import { CacheMounts } from "./cache/cache-mounts.ts";
import type { CacheUsage, PruneOptions } from "./cache/cache-record.ts";
import type { LintReport, Outline, QuestionRequest, Targets } from "./check/build-questions.ts";
import type { QuestionParts } from "./check/lint-source.ts";
import { ClassicMisses } from "./classic/classic-misses.ts";
import type { StageImage } from "./classic/image-sources.ts";
import { type SolveRequest, solve } from "./classic/solve.ts";
import { StepCache } from "./classic/step-cache.ts";
import { DockerfileBuild } from "./dockerfile-build.ts";
import { memoryDirectory } from "./files/memory-directory.ts";
import { Workspaces } from "./files/workspace.ts";
import type { GivenArguments } from "./language/build-args.ts";
import { parseDockerfile } from "./language/dockerfile.ts";
import { type Diagnostic, mistake } from "./language/lines.ts";
import { planBuild } from "./language/plan.ts";
import type { BuildRequest, BuildResult, PlatformResult } from "./request/build-request.ts";
import { BuildGraph } from "./request/graph.ts";
import { type BuildMessage, errorMessage, MessageChannel, Reporter, shortId } from "./request/messages.ts";
import { silence } from "./request/progress.ts";
import { ResultImages } from "./result-images.ts";
import { type BuildOutcome, MissRecords } from "./solver/misses.ts";
import { SolverHall } from "./solver/solver.ts";
import { BuildInputs } from "./sources/build-inputs.ts";
import { receiveContext } from "./sources/context.ts";
import { type RemoteContext, receiveRemote } from "./sources/remote-context.ts";

export interface BuilderParts {
  readonly engine: BuildEngine;
  readonly layers: Layers;
  readonly records: Records;
  /** A directory of the builder's own, on a disk with room for contexts. Made when it is not there. */
  readonly root: string;
  /** Bytes the cache of steps may keep; a tenth of the disk, at least 2 GiB, when absent. */
  readonly cacheBytesMax?: number | undefined;
  /** What images made from nothing are for; the machine's own when absent. */
  readonly platform?: Platform;
  readonly now?: () => Date;
}

/** `POST /build` of version 1 and its parameters, decoded. */
export interface ClassicRequest {
  /** A tar, plain or compressed, or the text of a Dockerfile. */
  readonly context: AsyncIterable<Uint8Array>;
  /** A git repository or URL to build from instead. */
  readonly remote?: string | undefined;
  /** Path in the context; `Dockerfile` when absent. */
  readonly dockerfile?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly buildArgs?: GivenArguments | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly target?: string | undefined;
  readonly noCache?: boolean | undefined;
  /** Names of images whose steps may stand for the build's. */
  readonly cacheFrom?: readonly string[] | undefined;
  readonly pull?: boolean | undefined;
  /** Who the user is to the registry of an image. */
  readonly credentialsFor?: ((image: string) => Credentials | undefined) | undefined;
  /** Say only the image's id, at the end. */
  readonly quiet?: boolean | undefined;
  /** `os/arch[/variant]`. */
  readonly platform?: string | undefined;
  readonly networkMode?: string | undefined;
  /** Limits for the containers of RUN. */
  readonly host?: HostConfig | undefined;
  /** Containers of RUN are always removed; `false` has a warning say that, instead of each step. */
  readonly remove?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** Directories of ended builds that are being removed while others go on. */
const goingMax = 4;

/** Each image's configuration has a line for every one before it. */
const classicInstructionsMax = 2500;

/** What all builds of a builder share. */
interface Shared {
  readonly workspaces: Workspaces;
  readonly steps: StepCache;
  readonly cacheMounts: CacheMounts;
  readonly cache: BuildCache;
  readonly hall: SolverHall;
  readonly missRecords: MissRecords;
  /** A directory in memory, for secrets. */
  readonly memory: string;
}

export class Builder implements AsyncDisposable {
  readonly #parts: BuilderParts;
  readonly #shared: Shared;
  /** Directories of builds that have ended. */
  readonly #going = new Set<Promise<void>>();

  private constructor(parts: BuilderParts, shared: Shared) {
    this.#parts = parts;
    this.#shared = shared;
  }

  /** Sweeps what builds of an engine that died left behind. One builder per root at a time. */
  static async open(parts: BuilderParts): Promise<Builder> {
    const { engine, layers, records, root } = parts;
    const work = join(root, "work");
    await mkdir(root, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(root)) if (name !== "cache-mounts") await discardTree(join(root, name));
    await makeApart(work, 0o700);
    const workspaces = new Workspaces(layers, records);
    await workspaces.sweep();
    const memory = await memoryDirectory(root);
    const now = () => (parts.now?.() ?? new Date()).getTime();
    const cacheMounts = await CacheMounts.open(join(root, "cache-mounts"), records, now);
    const cache = new BuildCache({
      ...{ records, layers, images: engine.images, mounts: cacheMounts, now },
      ceilingBytes: parts.cacheBytesMax ?? defaultCeiling(root),
    });
    return new Builder(parts, {
      ...{ workspaces, cacheMounts, cache, memory },
      steps: new StepCache(records, engine.images),
      hall: new SolverHall(),
      missRecords: new MissRecords(records),
    });
  }

  /** Takes what it had in memory away. Builds have ended before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#going);
    await discardTree(this.#shared.memory);
  }

  /**
   * Runs one build. Ends after `Successfully tagged`, or after one error message. Leaving the iteration early, or the
   * signal, cancels it; both come back only when nothing of it runs any more.
   * @throws Fault from the first `next()`: `invalid` for the request, the context or the Dockerfile, `unsupported` for
   * what this builder lacks, `cancelled`.
   */
  async *classic(request: ClassicRequest): AsyncGenerator<BuildMessage, void> {
    const tags = (request.tags ?? []).filter((tag) => tag !== "").map(imageTag);
    await using stack = new AsyncDisposableStack();
    const abort = new AbortController();
    const signal = AbortSignal.any([request.signal, abort.signal]);
    const { path } = stack.use(await this.#directory());
    const { prepared, downloadedBytes } = await this.#prepare(request, path, signal);
    const channel = new MessageChannel();
    if (downloadedBytes !== undefined && request.quiet !== true)
      await channel.push(downloaded(request.remote, downloadedBytes));
    const misses = new ClassicMisses(this.#shared.missRecords, placeOf(request, tags));
    const running = this.#run(prepared, { tags, misses, channel, quiet: request.quiet === true });
    stack.defer(async () => {
      abort.abort();
      channel.end();
      await running;
    });
    yield* channel.read();
  }

  /** Everything that can be told to be wrong before anything runs. */
  async #prepare(
    request: ClassicRequest,
    directory: string,
    signal: AbortSignal,
  ): Promise<{ readonly prepared: SolveRequest; readonly downloadedBytes: number | undefined }> {
    const context = join(directory, "context");
    const scratch = join(directory, "scratch");
    await mkdir(context);
    await mkdir(scratch);
    const hashes = new ContentHashes();
    const place = { directory: context, dockerfile: request.dockerfile ?? "", hashes, signal };
    const { remote = "" } = request;
    const received: RemoteContext = await cancellable(signal, () =>
      remote === "" ? receiveContext(request.context, place) : receiveRemote(remote, place),
    );
    const { text, name, downloadedBytes } = received;
    const [dockerfile, found] = parseDockerfile(text);
    refuseErrors(name, found);
    if (dockerfile.instructions.length > classicInstructionsMax)
      throw new Fault(
        "invalid",
        `${name} has more than ${classicInstructionsMax} instructions, each of which the classic builder makes an image of: build it with BuildKit`,
      );
    const [plan, refused] = planBuild(dockerfile, { target: request.target, labels: request.labels });
    refuseErrors(name, refused);
    const platformGiven = request.platform !== undefined && request.platform !== "";
    const prepared = {
      plan,
      escapeChar: dockerfile.escapeChar,
      context: received.directory,
      contentHash: (stat: { readonly ino: number }) => hashes.of(stat),
      scratch,
      buildArgs: request.buildArgs ?? {},
      useCache: request.noCache !== true,
      cacheFrom: cacheImages(this.#parts.engine.images, request.cacheFrom ?? []),
      pull: request.pull === true,
      credentialsFor: request.credentialsFor ?? (() => undefined),
      host: { ...request.host, NetworkMode: request.networkMode || "default" },
      platform: platformGiven ? parsePlatform(request.platform ?? "") : this.#platform(),
      platformGiven,
      reportRemoval: request.remove !== false,
      now: this.#now,
      signal,
    };
    return { prepared, downloadedBytes };
  }

  /**
   * Builds what a BuildKit client asks for; nothing is named or listed yet: `store` does that.
   * @throws BuildFault with the place in the Dockerfile; `cancelled`.
   */
  async build(request: BuildRequest): Promise<BuildResult> {
    await using directory = await this.#directory();
    const { engine, layers } = this.#parts;
    const { workspaces, cacheMounts, cache, hall, missRecords, memory } = this.#shared;
    const build = new DockerfileBuild(
      {
        ...{ engine, layers, workspaces, cacheMounts, cache, hall, missRecords, memory },
        ...{ scratch: directory.path, platform: this.#platform(), now: this.#now },
      },
      request,
    );
    try {
      return await build.run();
    } catch (error) {
      throw explainFull(error, this.#parts.root);
    }
  }

  /** `--check`. @throws Fault when there is no Dockerfile; a bad one is told in the report. */
  async lint(request: QuestionRequest): Promise<LintReport> {
    return await this.#ask(request, lintReport);
  }

  /** `--call=outline`. @throws BuildFault. */
  async outline(request: QuestionRequest): Promise<Outline> {
    return await this.#ask(request, outlineOf);
  }

  /** `--call=targets`. @throws BuildFault. */
  async targets(request: QuestionRequest): Promise<Targets> {
    return await this.#ask(request, targetList);
  }

  async #ask<T>(
    request: QuestionRequest,
    answer: (inputs: BuildInputs, parts: QuestionParts) => Promise<T>,
  ): Promise<T> {
    await using directory = await this.#directory();
    const { engine } = this.#parts;
    const shared = { graph: new BuildGraph(), progress: silence, inputs: new Map(), scratch: directory.path };
    await using inputs = new BuildInputs({ ...request, ...shared, engine });
    return await answer(inputs, { engine, platform: this.#platform(), options: request.options });
  }

  /** The last build of each context, the newest first: which of its steps were done again, and why. */
  outcomes(): BuildOutcome[] {
    return this.#shared.missRecords.list();
  }

  /** What the cache keeps, the oldest first. */
  usage(): CacheUsage[] {
    return this.#shared.cache.usage();
  }

  /** The same in the words of `buildx du`. */
  cacheRecords() {
    return this.usage().map(({ kind, lastUsedMs, ...record }) => ({
      ...record,
      type: kind,
      usedMs: lastUsedMs,
      mutable: kind === "exec.cachemount",
    }));
  }

  /** Bytes that builds may leave on disk. */
  get ceilingBytes(): number {
    return this.#shared.cache.ceilingBytes;
  }

  /** Counts what others keep for builds below the same ceiling. */
  leaveRoom(besideBytes: () => number): void {
    this.#shared.cache.leaveRoom(besideBytes);
  }

  /** False when it is in use, stands below another, or is not there. */
  async removeCache(id: string): Promise<boolean> {
    const filters = new Map([["id", [id]]]);
    return (await this.prune({ all: true, filters, keepBytes: 0, keepMs: 0 })).length > 0;
  }

  /** Clears the cache; what a build uses stays. @throws Fault `invalid` for a filter that is none. */
  prune(o: PruneOptions): ReturnType<BuildCache["prune"]> {
    return this.#shared.cache.prune(o);
  }

  /** A directory of one build's own. */
  async #directory(): Promise<AsyncDisposable & { readonly path: string }> {
    const path = await mkdtemp(join(this.#parts.root, "work/build-"));
    return { path, [Symbol.asyncDispose]: async () => await this.#leave(path) };
  }

  /** Nobody waits for a build's directory to go, while not too many are going; an engine that dies sweeps it later. */
  async #leave(path: string): Promise<void> {
    while (this.#going.size >= goingMax) await Promise.race(this.#going);
    const going: Promise<void> = discardTree(path)
      .catch(() => undefined)
      .finally(() => this.#going.delete(going));
    this.#going.add(going);
  }

  get #now(): () => Date {
    return this.#parts.now ?? (() => new Date());
  }

  /** What becomes of results as images. */
  get results(): ResultImages {
    return new ResultImages({
      ...{ engine: this.#parts.engine, layers: this.#parts.layers, platform: this.#platform() },
      workspaces: this.#shared.workspaces,
      spoolRoot: join(this.#parts.root, "spool"),
    });
  }

  /** The files of a platform's result, mounted until disposed; only to be read. */
  async tree(result: PlatformResult): Promise<AsyncDisposable & { readonly root: string }> {
    return await this.#shared.workspaces.acquire(result.chainId);
  }

  #platform(): Platform {
    return this.#parts.platform ?? { os: "linux", architecture: imageArchitecture(process.arch) };
  }

  /** Never rejects: a failure is the channel's last message. */
  async #run(
    request: SolveRequest,
    {
      tags,
      misses,
      channel,
      quiet,
    }: {
      readonly tags: readonly string[];
      readonly misses: ClassicMisses;
      readonly channel: MessageChannel;
      readonly quiet: boolean;
    },
  ): Promise<void> {
    // A quiet build hands over what it would have said only when it fails.
    const told = quiet ? new HeldMessages(channel) : channel;
    const reporter = new Reporter(told);
    const { engine } = this.#parts;
    const { workspaces, steps: cache } = this.#shared;
    try {
      // Many clients say so without meaning it: no reason to refuse them.
      if (!request.reportRemoval)
        await reporter.say("[Warning] containers of RUN are not kept, whatever rm and forcerm say\n");
      const image = await cancellable(request.signal, () =>
        solve({ engine, workspaces, cache, misses, reporter }, request),
      ).finally(() => misses.end(this.#now().getTime()));
      const id = await this.#reveal(image);
      await reporter.say(`Successfully built ${shortId(id)}\n`);
      for (const tag of tags) {
        engine.images.tag(id, tag);
        await reporter.say(`Successfully tagged ${tag}\n`);
      }
      if (quiet) await channel.push({ stream: `${id}\n` });
    } catch (error) {
      if (told instanceof HeldMessages) await told.release();
      await channel.push(errorMessage(Fault.from(explainFull(error, this.#parts.root))));
    } finally {
      channel.end();
    }
  }

  /** An image made as a step becomes one that is listed; a base that was only named is listed already. */
  async #reveal(image: StageImage): Promise<string> {
    if (image.id === undefined) throw new Fault("internal", "a build ended without an image");
    if (!image.built) return image.id;
    const { config, chainId, parent } = image;
    return await this.#parts.engine.images.create({
      config,
      ...(chainId !== undefined && { chainId }),
      ...(parent !== undefined && { parent }),
      intermediate: false,
    });
  }
}

/** Which builds are compared: a client of the classic builder says nothing of where its files are. */
function placeOf({ dockerfile = "", target = "", remote = "" }: ClassicRequest, tags: readonly string[]) {
  const origin = tags[0] === undefined ? "" : `image:${tags[0]}`;
  return { dockerfile: dockerfile || "Dockerfile", target, context: remote, origin };
}

/** A tenth of the disk, at least 2 GiB. */
function defaultCeiling(root: string): number {
  const { blocks, bsize } = statfsSync(root);
  return Math.max(Math.floor((blocks * bsize) / 10), 2 * 2 ** 30);
}

/** Messages of a quiet build that are kept, the last ones, in case it fails. */
const heldMessagesMax = 4096;

class HeldMessages {
  readonly #channel: Pick<MessageChannel, "push">;
  readonly #held: BuildMessage[] = [];

  constructor(channel: Pick<MessageChannel, "push">) {
    this.#channel = channel;
  }

  async push(message: BuildMessage): Promise<void> {
    this.#held.push(message);
    if (this.#held.length > heldMessagesMax) this.#held.shift();
  }

  async release(): Promise<void> {
    for (const message of this.#held.splice(0)) await this.#channel.push(message);
  }
}

/** In dockerd's words. */
function downloaded(remote = "", current: number): BuildMessage {
  return { status: remote, progressDetail: { current }, id: "Downloading context" };
}

/** `name:tag` as people write it. @throws Fault `invalid`. */
function imageTag(text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined) throw new Fault("invalid", "build tag cannot contain a digest");
  return familiarReference(withDefaultTag(reference));
}

/** @throws Fault `invalid` for the first error, with the line, or the file's name. */
function refuseErrors(name: string, diagnostics: readonly Diagnostic[]): void {
  const error = diagnostics.find(({ severity }) => severity === "error");
  if (error === undefined) return;
  const said = mistake(error);
  throw new Fault("invalid", error.lexical === true ? `failed to parse ${name}: ${said}` : said);
}

/** Whatever fails because the signal fired is the cancelling itself. */
async function cancellable<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Fault("cancelled", "build cancelled", { cause: error });
  }
}
