/**
 * A stage as nodes of the graph: from instructions to work, in BuildKit's words.
 * Owns: names of vertices, what a node reads, the configuration and history that go with its files.
 * Promises: only what the target needs is lowered; a fault names the instruction. Never: runs or copies anything.
 */

import { ArgumentScope, type GivenArguments } from "#build/language/build-args.ts";
import { parseTrigger } from "#build/language/dockerfile.ts";
import { expandWord } from "#build/language/expand.ts";
import type { Instruction } from "#build/language/instruction.ts";
import { at, type Stage, type Stages, stageNamed, targetOf } from "#build/language/stage-graph.ts";
import {
  beginStage,
  configOf,
  grown,
  type StageState,
  stageEnvironment,
} from "#build/language/stage-state.ts";
import { applyInstruction, type RunWork, type Step } from "#build/language/step.ts";
import type { BuildGraph, BuildNode } from "#build/request/graph.ts";
import { cannotRun } from "#build/request/runs-programs.ts";
import type { BaseImage, BuildInputs } from "#build/sources/build-inputs.ts";
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { HistoryEntry, ImageConfig, Platform } from "#spec/image.ts";
import { formatPlatform, parsePlatform } from "#spec/platform.ts";

export interface LowerOptions {
  readonly escapeChar: string;
  readonly target: string;
  readonly buildArgs: GivenArguments;
  /** Of this machine. */
  readonly buildPlatform: Platform;
  readonly targetPlatform: Platform;
  /** Names of vertices say the platform. */
  readonly showPlatform: boolean;
  /** Stages whose steps are done again; `all` for every one. */
  readonly noCache: "all" | readonly string[];
  readonly hostname: string;
  /** For containers of RUN. */
  readonly host: HostConfig;
  readonly labels: Readonly<Record<string, string>>;
  /** What a step of RUN may do beyond the usual. */
  readonly entitlements: ReadonlySet<string>;
  /** True when this machine runs programs of that platform. */
  readonly runs: (platform: Platform) => boolean;
  /** Told of a base image that is for another platform than the stage. */
  readonly otherPlatform: (stage: Stage, image: string, asked: Platform, got: Platform) => void;
}

/** One line of the history to be; `node` made its layer. */
export interface LoweredHistory {
  readonly entry: HistoryEntry;
  readonly node?: BuildNode | undefined;
}

export interface LoweredStage {
  /** Its files; undefined for none. */
  readonly node: BuildNode | undefined;
  readonly state: StageState;
  /** What it all stands on; absent for scratch. */
  readonly base: ImageConfig | undefined;
  readonly history: readonly LoweredHistory[];
  readonly platform: Platform;
  /** It begins with files that are no stage's: they count as its first step. */
  readonly begins: boolean;
}

const comment = "buildkit.dockerfile.v0";

export class Lowering {
  readonly #graph: BuildGraph;
  readonly #inputs: BuildInputs;
  readonly #stages: Stages;
  readonly #o: LowerOptions;
  readonly #globals: ArgumentScope;
  readonly #lowered = new Map<number, Promise<LoweredStage>>();
  /** ARG names that something asked for. */
  readonly asked = new Set<string>();

  constructor(graph: BuildGraph, inputs: BuildInputs, stages: Stages, o: LowerOptions) {
    this.#graph = graph;
    this.#inputs = inputs;
    this.#stages = stages;
    this.#o = o;
    this.#globals = globalScope(stages, o, this.asked);
  }

  /** The target with the request's labels. @throws InstructionFault, Fault. */
  async target(): Promise<LoweredStage> {
    const lowered = await this.#stage(targetOf(this.#stages.list, this.#o.target));
    const labels = Object.entries(this.#o.labels).sort(([left], [right]) => (left < right ? -1 : 1));
    if (labels.length === 0) return lowered;
    const { state } = lowered;
    return { ...lowered, state: { ...state, labels: grown(state.labels, labels) } };
  }

  #stage(stage: Stage): Promise<LoweredStage> {
    const known = this.#lowered.get(stage.index);
    if (known !== undefined) return known;
    const lowering = this.#lower(stage);
    this.#lowered.set(stage.index, lowering);
    return lowering;
  }

  async #lower(stage: Stage): Promise<LoweredStage> {
    const base = await at(stage.from, () => this.#base(stage));
    const triggers = (base.state.config.OnBuild ?? []).map((text) => ({
      ...parseTrigger(text),
      onbuild: true,
    }));
    const steps: (Instruction & { readonly onbuild?: boolean })[] = [...triggers, ...stage.steps];
    const naming = new StepNaming(
      stage,
      this.#stages.list.length,
      base,
      steps,
      this.#platformShown(base.platform),
    );
    const begun = beginStage(configOf(base.state), base.state.scope);
    let { node } = base;
    let state: StageState = { ...begun, author: base.state.author };
    const history: LoweredHistory[] = [...base.history];
    for (const instruction of steps) {
      const located = instruction.onbuild === true ? stage.from : instruction;
      const step = await at(located, () =>
        applyInstruction(state, instruction, { escapeChar: this.#o.escapeChar, dialect: "buildkit" }),
      );
      for (const name of step.asked) this.asked.add(name);
      const made = await at(located, () =>
        this.#work(step, { stage, node, state, naming, instruction, located, platform: base.platform }),
      );
      const entry = { created_by: step.createdBy(""), comment };
      // BuildKit does not speak of triggers it only keeps.
      if (instruction.kind !== "onbuild")
        history.push(made === undefined ? { entry: { ...entry, empty_layer: true } } : { entry, node: made });
      node = made ?? node;
      state = step.next;
    }
    return { ...base, node, state, history };
  }

  #platformShown(platform: Platform): string {
    return this.#o.showPlatform ? `${formatPlatform(platform)} ` : "";
  }

  /** Where a stage begins: an earlier stage, a named context, an image, nothing. */
  async #base(stage: Stage): Promise<LoweredStage> {
    const expand = (word: string) => expandWord(word, this.#globals.globals(), this.#o);
    const name = expand(stage.from.base);
    if (name === "") throw new Fault("invalid", `base name (${stage.from.base}) should not be blank`);
    const flag = expand(stage.from.platform);
    if (stage.from.platform !== "" && flag === "")
      throw new Fault("invalid", `empty platform value from expression ${stage.from.platform}`);
    const platform = flag === "" ? this.#o.targetPlatform : parsePlatform(flag);
    const own = this.#globals.stage();
    const named = await this.#inputs.namedBase(name, platform);
    if (named !== undefined) return this.#begin(named, own, platform, stage, name);
    const earlier = this.#stages.list
      .slice(0, stage.index)
      .findLast((each) => each.name !== "" && each.name === name.toLowerCase());
    if (earlier !== undefined) {
      const lowered = await this.#stage(earlier);
      const scope = lowered.state.scope.derive();
      return { ...lowered, state: { ...lowered.state, scope }, begins: false };
    }
    if (name === "scratch")
      return this.#begin(
        { files: undefined, config: undefined, reference: "scratch" },
        own,
        platform,
        stage,
        name,
      );
    return this.#begin(await this.#inputs.image(name, platform), own, platform, stage, name);
  }

  #begin(
    image: BaseImage,
    scope: ArgumentScope,
    platform: Platform,
    stage: Stage,
    name: string,
  ): LoweredStage {
    const { config } = image;
    const history = (config?.history ?? []).map((entry): LoweredHistory => ({ entry }));
    const begun = beginStage(config?.config ?? { WorkingDir: "/" }, scope);
    const state = {
      ...begun,
      // Its triggers are still to come.
      config: { ...begun.config, ...(config?.config.OnBuild && { OnBuild: config.config.OnBuild }) },
      author: config?.author ?? "",
    };
    const actual = config === undefined ? platform : { ...platform, ...platformOf(config) };
    if (actual.os !== platform.os || actual.architecture !== platform.architecture)
      this.#o.otherPlatform(stage, name, platform, actual);
    const triggers = (config?.config.OnBuild ?? []).map(parseTrigger);
    const total = countedSteps([...triggers, ...stage.steps]) + 1;
    const shown = `${stageTitle(stage, this.#stages.list.length)}${"1".padStart(String(total).length)}/${total}`;
    const node =
      image.files === undefined
        ? undefined
        : this.#graph.node({
            name: `[${this.#platformShown(actual)}${shown}] FROM ${image.reference}`,
            ...image.files,
            useCache: true,
            lines: [stage.from.lines],
          });
    if (name === "scratch")
      return { node: undefined, state, base: undefined, history: [], platform, begins: false };
    return { node, state, base: config, history, platform: actual, begins: node !== undefined };
  }

  async #work(step: Step, o: WorkContext): Promise<BuildNode | undefined> {
    const { work } = step;
    if (work.kind === "none") return undefined;
    const shared = {
      ...o.naming.next(o.instruction, o.state, this.#o.escapeChar),
      useCache: this.#useCache(o.stage),
      lines: [o.located.lines],
    };
    switch (work.kind) {
      case "make-directory":
        return this.#graph.node({ ...shared, inputs: [o.node], operation: work });
      case "transfer": {
        const { transfer } = work;
        const local = transfer.sources.some((source) => !isAddress(source));
        const source =
          transfer.from === ""
            ? local
              ? await this.#inputs.context(transfer.sources, o.instruction)
              : undefined
            : await this.#from(transfer.from);
        const operation = {
          kind: "transfer" as const,
          transfer,
          input: source === undefined ? undefined : 1,
        };
        return this.#graph.node({
          ...shared,
          inputs: source === undefined ? [o.node] : [o.node, source],
          operation,
        });
      }
      case "run":
        return await this.#run(work, o, shared);
    }
  }

  async #run(
    { mounts, ...work }: RunWork,
    o: WorkContext,
    shared: Pick<BuildNode, "name" | "written" | "useCache" | "lines">,
  ): Promise<BuildNode> {
    this.#refuse(work, o.platform);
    const inputs: (BuildNode | undefined)[] = [o.node];
    const described = [];
    for (const mount of mounts) {
      let source: BuildNode | undefined;
      if (mount.from !== "") source = await this.#from(mount.from);
      else if (mount.type === "bind")
        source = await this.#inputs.context([mount.source || "/"], o.instruction);
      if (source !== undefined) inputs.push(source);
      described.push({ mount, input: source === undefined ? undefined : inputs.length - 1 });
    }
    const { User, WorkingDir } = o.state.config;
    const config = {
      Env: o.state.env.values(),
      ...(User !== undefined && { User }),
      ...(WorkingDir !== undefined && { WorkingDir }),
    };
    const { hostname, host } = this.#o;
    const operation = { kind: "run" as const, work, mounts: described, config, hostname, host };
    return this.#graph.node({ ...shared, inputs, operation });
  }

  #refuse(work: Omit<RunWork, "mounts">, platform: Platform): void {
    const { entitlements, host } = this.#o;
    if ((work.network || host.NetworkMode) === "host" && !entitlements.has("network.host"))
      throw new Fault("denied", "network.host is not allowed");
    if (work.security === "insecure" && !entitlements.has("security.insecure"))
      throw new Fault("denied", "security.insecure is not allowed");
    const [device] = work.devices;
    if (device !== undefined)
      throw new Fault(
        "unsupported",
        `--device=${device} cannot be given: this engine has no devices for builds`,
      );
    if (!this.#o.runs(platform)) throw new Fault("unsupported", cannotRun(platform));
  }

  #useCache(stage: Stage): boolean {
    const { noCache } = this.#o;
    if (noCache === "all") return false;
    return !noCache.some((each) => stageNamed(this.#stages.list, each) === stage);
  }

  /** What `--from` means: a named context, a stage, an image. */
  async #from(reference: string): Promise<BuildNode | undefined> {
    const platform = this.#o.targetPlatform;
    const named = await this.#inputs.namedFiles(reference, platform);
    if (named !== undefined) return named;
    const stage = stageNamed(this.#stages.list, reference);
    if (stage !== undefined) return (await this.#stage(stage)).node ?? this.#nothing();
    if (/^\d+$/.test(reference)) throw new Fault("invalid", `invalid stage index ${reference}`);
    if (reference === "scratch") return this.#nothing();
    return this.#imageNode(await this.#inputs.image(reference, platform));
  }

  #imageNode(image: BaseImage): BuildNode {
    if (image.files === undefined) return this.#nothing();
    const platform = this.#platformShown(this.#o.targetPlatform).trim();
    const name = `${platform === "" ? "" : `[${platform}] `}FROM ${image.reference}`;
    return this.#graph.node({ name, ...image.files, useCache: true, lines: [] });
  }

  #nothing(): BuildNode {
    const operation = { kind: "image" as const, reference: "scratch", chainId: undefined };
    return this.#graph.node({ name: "scratch", inputs: [], operation, useCache: true, lines: [] });
  }
}

interface WorkContext {
  readonly stage: Stage;
  readonly node: BuildNode | undefined;
  readonly state: StageState;
  readonly naming: StepNaming;
  readonly instruction: Instruction & { readonly onbuild?: boolean };
  /** What a fault points at. */
  readonly located: Instruction;
  readonly platform: Platform;
}

/** Sources that are fetched, not looked for in a context. */
function isAddress(source: string): boolean {
  return /^(?:https?|git|ssh):\/\//i.test(source) || /^[\w.-]+@[\w.-]+:/.test(source);
}

function platformOf({ os, architecture, variant }: ImageConfig): Platform {
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

/** Steps that get a number: those with work on files. */
function countedSteps(steps: readonly Instruction[]): number {
  return steps.filter(({ kind }) => ["add", "copy", "run", "workdir"].includes(kind)).length;
}

function stageTitle(stage: Stage, stages: number): string {
  if (stage.name !== "") return `${stage.name} `;
  return stages > 1 ? `stage-${stage.index} ` : "";
}

/** `[build  2/14] RUN make`. */
class StepNaming {
  readonly #title: string;
  readonly #total: number;
  #at: number;

  constructor(
    stage: Stage,
    stages: number,
    base: LoweredStage,
    steps: readonly Instruction[],
    platform: string,
  ) {
    this.#title = `${platform}${stageTitle(stage, stages)}`;
    this.#at = base.begins ? 1 : 0;
    this.#total = countedSteps(steps) + this.#at;
  }

  next(
    instruction: Instruction & { readonly onbuild?: boolean },
    state: StageState,
    escapeChar: string,
  ): { readonly name: string; readonly written: string } {
    this.#at++;
    const number = String(this.#at).padStart(String(this.#total).length);
    const onbuild = instruction.onbuild === true ? "ONBUILD " : "";
    const shown = shownInstruction(instruction, state, escapeChar);
    return {
      name: `[${this.#title}${number}/${this.#total}] ${onbuild}${shown}`,
      written: `[${this.#title}] ${onbuild}${instruction.source}`,
    };
  }
}

/** The instruction with what its variables mean; a heredoc's first line with it. */
function shownInstruction(instruction: Instruction, state: StageState, escapeChar: string): string {
  const { source, keyword } = instruction;
  let text = `${keyword.toUpperCase()}${source.slice(keyword.length)}`;
  if (instruction.kind === "run") {
    const [heredoc] = instruction.command.heredocs;
    const lines = heredoc?.content.trim().split("\n") ?? [];
    if (lines.length > 0 && /^\d*<<-?\s*\S+$/.test(instruction.command.args[0] ?? ""))
      text += ` (${lines[0]}${lines.length > 1 ? "..." : ""})`;
  }
  try {
    return expandWord(text, stageEnvironment(state), { escapeChar, rawQuotes: true, keepUnset: true });
  } catch {
    return text;
  }
}

/** ARGs before the first FROM, and what is known of the platforms. */
function globalScope({ globals, list }: Stages, o: LowerOptions, asked: Set<string>): ArgumentScope {
  let scope = ArgumentScope.from(o.buildArgs);
  const stage = stageNamed(list, o.target);
  const known = { ...platformArgs(o), TARGETSTAGE: o.target === "" ? "default" : (stage?.name ?? o.target) };
  for (const [key, value] of Object.entries(known)) scope = scope.declareGlobal(key, value);
  for (const instruction of globals)
    for (const { key, value } of instruction.args) {
      asked.add(key);
      scope = scope.declareGlobal(
        key,
        value === undefined ? undefined : expandWord(value, scope.globals(), o),
      );
    }
  return scope;
}

/** Arguments every Dockerfile has. */
export function platformArgs(
  o: Pick<LowerOptions, "buildPlatform" | "targetPlatform">,
): Record<string, string> {
  const of = (prefix: string, platform: Platform) => ({
    [`${prefix}PLATFORM`]: formatPlatform(platform),
    [`${prefix}OS`]: platform.os,
    [`${prefix}OSVERSION`]: platform["os.version"] ?? "",
    [`${prefix}ARCH`]: platform.architecture,
    [`${prefix}VARIANT`]: platform.variant ?? "",
  });
  return { ...of("BUILD", o.buildPlatform), ...of("TARGET", o.targetPlatform) };
}
