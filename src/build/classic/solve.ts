/**
 * Runs a plan: stage by stage, step by step, each from the cache or by doing its work, each ending in an image.
 * Owns: the order of a build's doings and what it says about them.
 * Promises: a step that fails or is cancelled leaves nothing but the images of the steps before it, which are the cache
 * of the next try. Never: parses, hashes or copies by itself.
 */

import type { BuildEngine, BuildImage } from "#build/build-engine.ts";
import { above, stepInImages } from "#build/cache/cache-images.ts";
import { type KnownContent, SourceTree } from "#build/files/source-tree.ts";
import { emptyDiffId, type NewLayer, type Workspaces } from "#build/files/workspace.ts";
import { ArgumentScope, type GivenArguments, unusedArguments } from "#build/language/build-args.ts";
import { parseTrigger } from "#build/language/dockerfile.ts";
import { expandWord } from "#build/language/expand.ts";
import type { Instruction } from "#build/language/instruction.ts";
import { type BuildPlan, type StagePlan, type StepIdentity, tidyConfig } from "#build/language/plan.ts";
import { beginStage, configOf, type StageState } from "#build/language/stage-state.ts";
import { applyInstruction, type Step, type Work } from "#build/language/step.ts";
import { type StepReporter, shortId } from "#build/request/messages.ts";
import { scriptMount } from "#build/solver/script-mount.ts";
import { type PreparedTransfer, prepareTransfer } from "#build/solver/transfer.ts";
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import type { Credentials } from "#spec/credentials.ts";
import type { Digest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import { formatPlatform } from "#spec/platform.ts";
import type { ClassicMisses, ClassicStep } from "./classic-misses.ts";
import { ImageSources, type StageImage, type StageResults } from "./image-sources.ts";
import { SpeakingTurns } from "./speaking-turns.ts";
import type { StepCache } from "./step-cache.ts";

export interface SolveParts {
  readonly engine: BuildEngine;
  readonly workspaces: Workspaces;
  readonly cache: StepCache;
  readonly misses: ClassicMisses;
  readonly reporter: StepReporter;
}

export interface SolveRequest {
  readonly plan: BuildPlan;
  readonly escapeChar: string;
  /** The context's files. */
  readonly context: string;
  readonly contentHash: KnownContent;
  /** A directory of this build's own. */
  readonly scratch: string;
  readonly buildArgs: GivenArguments;
  /** When false nothing is taken from the cache; what is made still goes into it. */
  readonly useCache: boolean;
  /** Images whose steps may stand for the build's. */
  readonly cacheFrom: readonly BuildImage[];
  readonly pull: boolean;
  /** Who the user is to the registry of an image. */
  readonly credentialsFor: (image: string) => Credentials | undefined;
  /** For containers of RUN. */
  readonly host: HostConfig;
  /** Of an image made from nothing, and wanted of bases when `platformGiven`. */
  readonly platform: Platform;
  readonly platformGiven: boolean;
  /** Say that a RUN's container is removed (it always is). */
  readonly reportRemoval: boolean;
  readonly now: () => Date;
  readonly signal: AbortSignal;
}

/** @returns the image of the last stage. @throws Fault for the step that failed; everything it held is released. */
export async function solve(parts: SolveParts, request: SolveRequest): Promise<StageImage> {
  const { engine, reporter } = parts;
  const { signal } = request;
  const fetch = async (name: string, platform: Platform | undefined) => {
    const credentials = request.credentialsFor(name);
    const tell = (message: JsonMessage) => reporter.progress(message);
    await engine.transfers.fetch(name, { credentials, platform, tell, signal });
  };
  const stop = new AbortController();
  const own = { ...request, signal: AbortSignal.any([signal, stop.signal]) };
  const solver = new Solver(parts, own, stop);
  await using sources = new ImageSources(engine.images, parts.workspaces, solver, { ...own, fetch });
  return await solver.run(sources);
}

class Solver implements StageResults {
  readonly list: readonly StagePlan[];
  readonly #parts: SolveParts;
  readonly #request: SolveRequest;
  readonly #stop: AbortController;
  readonly #context: SourceTree;
  readonly #asked = new Set<string>();
  readonly #running = new Map<StagePlan, Promise<StageImage>>();
  readonly #turns: SpeakingTurns;
  #sources: ImageSources | undefined;
  #globalScope: ArgumentScope;
  #count = 0;
  readonly #firstNumbers = new Map<StagePlan, number>();

  constructor(parts: SolveParts, request: SolveRequest, stop: AbortController) {
    this.list = request.plan.stages;
    this.#parts = parts;
    this.#request = request;
    this.#stop = stop;
    this.#context = new SourceTree(request.context, "context", { contentHash: request.contentHash });
    this.#globalScope = ArgumentScope.from(request.buildArgs);
    this.#turns = new SpeakingTurns(parts.reporter);
  }

  async run(sources: ImageSources): Promise<StageImage> {
    const { plan, buildArgs } = this.#request;
    const needed = neededStages(plan);
    this.#count = plan.globals.length + needed.reduce((sum, { steps }) => sum + 1 + steps.length, 0);
    this.#sources = sources;
    this.#globalScope = await this.#globals();
    let number = plan.globals.length;
    for (const stage of needed) {
      this.#firstNumbers.set(stage, number);
      number += 1 + stage.steps.length;
      this.#turns.add(stage);
    }
    const results = needed.map((stage) => this.result(stage));
    // The first failure stops the others; what they said before is said.
    await Promise.allSettled(results);
    await this.#turns.end();
    const all = await Promise.all(results.map(unlessStopped(this.#stop)));
    for (const { steps } of this.list)
      for (const step of steps)
        if (step.kind === "arg") for (const { key } of step.args) this.#asked.add(key);
    const last = all.at(-1);
    const unused = unusedArguments(buildArgs, this.#asked);
    if (unused.length > 0)
      await this.#parts.reporter.say(
        `[Warning] One or more build-args [${unused.join(" ")}] were not consumed\n`,
      );
    if (last?.id === undefined)
      throw new Fault("invalid", "No image was generated. Is your Dockerfile empty?");
    return last;
  }

  result(stage: StagePlan): Promise<StageImage> {
    const known = this.#running.get(stage);
    if (known !== undefined) return known;
    const reporter = this.#turns.add(stage);
    const running = this.#stage(stage, reporter)
      .catch((error: unknown) => {
        this.#stop.abort(error);
        throw error;
      })
      .finally(() => this.#turns.finish(stage));
    running.catch(() => undefined);
    this.#running.set(stage, running);
    return running;
  }

  async #globals(): Promise<ArgumentScope> {
    let scope = ArgumentScope.from(this.#request.buildArgs);
    for (const [index, instruction] of this.#request.plan.globals.entries()) {
      await this.#announce(instruction, index + 1, this.#parts.reporter);
      for (const { key, value } of instruction.args) {
        const fallback = value === undefined ? undefined : this.#expandGlobal(value, scope);
        scope = scope.declareGlobal(key, fallback);
        this.#asked.add(key);
      }
    }
    return scope;
  }

  #announce(instruction: Instruction, number: number, reporter: StepReporter): Promise<void> {
    this.#request.signal.throwIfAborted();
    return reporter.step(number, this.#count, instruction.source);
  }

  #expandGlobal(word: string, scope: ArgumentScope): string {
    return expandWord(word, scope.globals(), { escapeChar: this.#request.escapeChar });
  }

  async #stage(stage: StagePlan, reporter: StepReporter): Promise<StageImage> {
    const globals = this.#globalScope;
    const sources = this.#sources;
    if (sources === undefined) throw new Fault("internal", "a stage began before its sources were there");
    let number = this.#firstNumbers.get(stage) ?? 0;
    await this.#announce(stage.from, ++number, reporter);
    const base = await located(stage.from, async () => {
      const name = this.#expandGlobal(stage.from.base, globals);
      if (name === "") throw new Fault("invalid", `base name (${stage.from.base}) should not be blank`);
      return await sources.base(stage.index, name, this.#expandGlobal(stage.from.platform, globals));
    });
    const several = this.#request.plan.stages.length > 1;
    const runner = new StageRunner({ ...this.#parts, reporter }, this.#request, {
      base,
      scope: globals.stage(),
      tree: (from) => sources.tree(stage.index, from),
      context: this.#context,
      prefix: several ? `[${stage.name || `stage-${stage.index}`}] ` : "",
    });
    await this.#triggers(runner, stage, base.config.config.OnBuild ?? [], reporter);
    await reporter.say(` ---> ${shortId(runner.image.id ?? "")}\n`);
    for (const instruction of stage.steps) {
      await this.#announce(instruction, ++number, reporter);
      await located(instruction, () => runner.step(instruction));
      await reporter.say(` ---> ${shortId(runner.image.id ?? "")}\n`);
    }
    for (const name of runner.asked) this.#asked.add(name);
    if (runner.image.id !== undefined) await reporter.imageId(runner.image.id);
    return runner.image;
  }

  async #triggers(
    runner: StageRunner,
    stage: StagePlan,
    triggers: readonly string[],
    reporter: StepReporter,
  ): Promise<void> {
    if (triggers.length === 0) return;
    await reporter.say(`# Executing ${triggers.length} build trigger`);
    if (triggers.length > 1) await reporter.say("s");
    await reporter.say("\n");
    for (const trigger of triggers) await located(stage.from, () => runner.step(parseTrigger(trigger)));
  }
}

/** Those the last one needs, in the order of the file; one that a trigger asks for is begun when it does. */
function neededStages({ stages }: BuildPlan): StagePlan[] {
  const found = new Set<StagePlan>();
  const pending = stages.slice(-1);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    // A base with a variable may be any stage before it.
    const unknown = next.from.base.includes("$") ? stages.slice(0, next.index) : [];
    pending.push(...unknown, ...next.needs.flatMap((index) => stages[index] ?? []));
  }
  return [...found].sort((left, right) => left.index - right.index);
}

/** What a stage threw because another had failed is that failure. */
function unlessStopped(stop: AbortController) {
  return async <T>(result: Promise<T>): Promise<T> => {
    try {
      return await result;
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    }
  };
}

/** Runs `work`; its Fault gets the instruction's line, unless the build was cancelled. */
async function located<T>(instruction: Instruction, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { start } = instruction.lines;
    if (!(error instanceof Fault) || start === 0 || error.kind === "cancelled") throw error;
    const { detail } = error;
    throw new Fault(error.kind, `${error.message} (Dockerfile line ${start})`, { cause: error, detail });
  }
}

interface StageInputs {
  readonly base: StageImage;
  readonly scope: ArgumentScope;
  readonly context: SourceTree;
  /** Before the names of its steps. */
  readonly prefix: string;
  /** The files of what `COPY --from` names. */
  tree(from: string): Promise<SourceTree>;
}

/** One stage between its steps. */
class StageRunner {
  readonly asked = new Set<string>();
  readonly #parts: SolveParts;
  readonly #request: SolveRequest;
  readonly #inputs: StageInputs;
  #state: StageState;
  #image: StageImage;
  /** What the next step stands on, in words. */
  #before: string;

  constructor(parts: SolveParts, request: SolveRequest, inputs: StageInputs) {
    this.#parts = parts;
    this.#request = request;
    this.#inputs = inputs;
    this.#image = inputs.base;
    this.#before = inputs.base.built ? "the stage it is built on" : "the base image";
    this.#state = beginStage(inputs.base.config.config, inputs.scope);
  }

  get image(): StageImage {
    return this.#image;
  }

  async step(instruction: Instruction): Promise<void> {
    const { reporter, cache } = this.#parts;
    const step = applyInstruction(this.#state, instruction, {
      escapeChar: this.#request.escapeChar,
      dialect: "classic",
    });
    for (const note of step.notes) await reporter.say(note);
    for (const name of step.asked) this.asked.add(name);
    const transfer = await this.#prepare(step.work);
    const createdBy = step.createdBy(transfer?.hash ?? "");
    const config = tidyConfig(configOf(step.next));
    const identity = {
      parent: this.#image.id ?? "",
      platform: formatPlatform(this.#image.config),
      createdBy,
      author: step.next.author,
      config,
    };
    const { useCache } = this.#request;
    const hit = useCache ? (cache.find(identity) ?? (await this.#inImages(step, identity))) : undefined;
    const outcome = hit !== undefined ? "cached" : useCache ? "done" : "refused";
    this.#parts.misses.step(this.#reading(instruction, step, { transfer, below: identity.parent }), outcome);
    if (hit !== undefined) {
      await reporter.say(" ---> Using cache\n");
      const { id, chainId } = hit.record;
      this.#image = { id, chainId, parent: this.#image.id, config: hit.config, built: true };
    } else {
      const layer = await this.#work(step, transfer);
      this.#request.signal.throwIfAborted();
      const created = this.#request.now().toISOString();
      this.#image = await this.#keep(this.#child(step, identity, { layer, created }), identity);
    }
    this.#state = step.next;
    this.#before = `the step before it, ${instruction.source.split("\n", 1)[0]}`;
  }

  #reading(
    { source }: Instruction,
    { work, createdBy }: Step,
    o: { readonly transfer: PreparedTransfer | undefined; readonly below: string },
  ): ClassicStep {
    const shared = {
      name: this.#inputs.prefix + source.split("\n", 1)[0],
      base: this.#before,
      below: o.below,
    };
    const none = () => ({});
    if (work.kind === "transfer")
      return { ...shared, variables: [], meaning: work.transfer, reads: o.transfer?.reads ?? none };
    if (work.kind !== "run") return { ...shared, variables: [], meaning: createdBy(""), reads: none };
    const given = work.env.filter((line) => !work.hidden.includes(line.split("=", 1)[0] ?? ""));
    const variables = [...(configOf(this.#state).Env ?? []), ...given];
    return { ...shared, variables, meaning: [work.args, work.script], reads: none };
  }

  /** The step as an image of `cachefrom` has it, as a step of this build's own. */
  async #inImages(step: Step, identity: StepIdentity): Promise<BuildImage | undefined> {
    const found = stepInImages(this.#request.cacheFrom, this.#image.config, identity.createdBy);
    if (found === undefined) return undefined;
    const { image, diffId, created = "" } = found;
    if (image !== undefined) {
      this.#parts.cache.remember(identity, image.record.id);
      return image;
    }
    const chainId = above(this.#image.chainId, diffId);
    const layer = diffId === undefined || chainId === undefined ? undefined : { chainId, diffId };
    const { id, config } = await this.#keep(this.#child(step, identity, { layer, created }), identity);
    return { record: { id, ...(chainId !== undefined && { chainId }) }, config };
  }

  async #keep(made: StageImage, identity: StepIdentity): Promise<StageImage & { readonly id: Digest }> {
    const { config, chainId, parent } = made;
    const id = await this.#parts.engine.images.create({
      config,
      ...(chainId !== undefined && { chainId }),
      ...(parent !== undefined && { parent }),
      intermediate: true,
    });
    this.#parts.cache.remember(identity, id);
    return { ...made, id };
  }

  async #prepare(work: Work): Promise<PreparedTransfer | undefined> {
    if (work.kind !== "transfer") return undefined;
    const { transfer } = work;
    const tree = transfer.from === "" ? this.#inputs.context : await this.#inputs.tree(transfer.from);
    const { scratch, signal } = this.#request;
    const { workspaces } = this.#parts;
    return await prepareTransfer(transfer, tree, { workspaces, scratch, dialect: "classic", signal });
  }

  async #work({ work }: Step, transfer: PreparedTransfer | undefined): Promise<NewLayer | undefined> {
    switch (work.kind) {
      case "none":
        return undefined;
      case "run":
        return this.#run(work);
      case "transfer":
        return await transfer?.perform(this.#image.chainId, this.#request);
      case "make-directory":
        return this.#parts.workspaces.makeDirectory(this.#image.chainId, work.path, {
          ...this.#request,
          user: work.user,
        });
    }
  }

  async #run({ args, env, script }: Extract<Work, { readonly kind: "run" }>): Promise<NewLayer | undefined> {
    const { engine, reporter } = this.#parts;
    await using stack = new AsyncDisposableStack();
    const { host, scratch } = this.#request;
    const mounted = script === undefined ? undefined : stack.use(scriptMount(scratch, script));
    // What describes the image to be, and not the command that makes it, is left out.
    const { OnBuild: _, Volumes: __, ExposedPorts: ___, ...inherited } = tidyConfig(configOf(this.#state));
    const config: ContainerConfig = {
      ...inherited,
      Env: [...(inherited.Env ?? []), ...env],
      Cmd: [...args],
      Entrypoint: null,
      Healthcheck: { Test: ["NONE"] },
      AttachStdout: true,
      AttachStderr: true,
      ...(this.#image.id !== undefined && { Image: this.#image.id }),
    };
    const ran = await this.#running(() =>
      engine.containers.runOnce({
        ...(this.#image.chainId !== undefined && { chainId: this.#image.chainId }),
        config,
        host: mounted === undefined ? host : { ...host, Mounts: [mounted.mount] },
        signal: this.#request.signal,
        onCreated: (id) => reporter.say(` ---> Running in ${shortId(id)}\n`),
        onOutput: (frame) => reporter.output(frame),
      }),
    );
    if (ran.exitCode !== 0)
      throw new Fault(
        "invalid",
        `The command '${args.join(" ")}' returned a non-zero code: ${ran.exitCode}`,
        { detail: { exitCode: ran.exitCode } },
      );
    if (this.#request.reportRemoval)
      await reporter.say(` ---> Removed intermediate container ${shortId(ran.containerId)}\n`);
    return ran.layer === undefined || ran.layer.diffId === emptyDiffId ? undefined : ran.layer;
  }

  /** A command that never started has no exit code of its own; Docker gives none either. */
  async #running<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const fault = Fault.from(error);
      throw new Fault(fault.kind, fault.message, { cause: error });
    } finally {
      this.#parts.reporter.endOutput();
    }
  }

  /** The image one step further. */
  #child(
    step: Step,
    { createdBy }: StepIdentity,
    { layer, created }: { readonly layer: NewLayer | undefined; readonly created: string },
  ): StageImage {
    const before = this.#image.config;
    const { author } = step.next;
    const named = author === "" ? {} : { author };
    const { config: _, rootfs, history, created: __, author: ___, ...rest } = before;
    return {
      chainId: layer?.chainId ?? this.#image.chainId,
      parent: this.#image.id,
      built: true,
      config: {
        ...rest,
        created,
        ...named,
        config: tidyConfig(configOf(step.next)),
        rootfs: {
          type: "layers",
          diff_ids: [...rootfs.diff_ids, ...(layer === undefined ? [] : [layer.diffId])],
        },
        history: [
          ...(history ?? []),
          { created, created_by: createdBy, ...named, ...(layer === undefined && { empty_layer: true }) },
        ],
      },
    };
  }
}
