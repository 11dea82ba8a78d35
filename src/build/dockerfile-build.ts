/**
 * One build in BuildKit's way: from the Dockerfile to results, one for each platform.
 * Owns: the order of it: read, check, lower, solve, describe. Promises: a fault has its place in the Dockerfile; nothing of
 * the build is left but what the cache keeps.
 */
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import { formatPlatform } from "#spec/platform.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { BuildEngine } from "./build-engine.ts";
import type { BuildCache } from "./cache/build-cache.ts";
import { inlineRecords } from "./cache/cache-config.ts";
import { ImportedCaches } from "./cache/cache-import.ts";
import type { CacheMounts } from "./cache/cache-mounts.ts";
import type { LintWarning } from "./check/build-questions.ts";
import { type CheckSettings, type RuleName, warningOf } from "./check/lint-rules.ts";
import { lintSource, type ReadDockerfile } from "./check/lint-source.ts";
import type { Workspaces } from "./files/workspace.ts";
import { type Dockerfile, parseDockerfile } from "./language/dockerfile.ts";
import { mistake } from "./language/lines.ts";
import { InstructionFault, refuseCircles, stagesOf, targetOf } from "./language/stage-graph.ts";
import { fullProvenance, type WantedAttestations, wantedAttestations } from "./request/attest-options.ts";
import { epochOf, hostOf, noCacheOf, platformsOf, prefixed } from "./request/build-options.ts";
import type { AttachedPredicate } from "./request/build-request.ts";
import {
  BuildFault,
  type BuildRequest,
  type BuildResult,
  type PlatformResult,
} from "./request/build-request.ts";
import { cacheSource, importedEntries } from "./request/cache-places.ts";
import { BuildGraph, type BuildNode } from "./request/graph.ts";
import type { SourceFile } from "./request/progress.ts";
import { type Predicate, provenancePredicate } from "./request/provenance.ts";
import { runsPrograms } from "./request/runs-programs.ts";
import { chainOf } from "./results/compose-image.ts";
import { scan } from "./results/sbom-scan.ts";
import { imageConfig, type MadeLayer } from "./solver/image-history.ts";
import { type LoweredStage, Lowering } from "./solver/lower.ts";
import { type BuildPlace, Misses, type MissRecords } from "./solver/misses.ts";
import { baseOf, described, NodeFault, Solver, type SolverHall } from "./solver/solver.ts";
import { BuildInputs } from "./sources/build-inputs.ts";

export interface DockerfileBuildParts {
  readonly engine: BuildEngine;
  readonly layers: Layers;
  readonly workspaces: Workspaces;
  readonly cacheMounts: CacheMounts;
  readonly cache: BuildCache;
  readonly hall: SolverHall;
  readonly missRecords: MissRecords;
  /** A directory in memory, for secrets. */
  readonly memory: string;
  /** A directory of this build's own. */
  readonly scratch: string;
  readonly platform: Platform;
  readonly now: () => Date;
}

export class DockerfileBuild {
  readonly #parts: DockerfileBuildParts;
  readonly #request: BuildRequest;
  #source: SourceFile | undefined;

  constructor(parts: DockerfileBuildParts, request: BuildRequest) {
    this.#parts = parts;
    this.#request = request;
  }

  /** @throws BuildFault; `cancelled`. */
  async run(): Promise<BuildResult> {
    try {
      return await this.#run();
    } catch (error) {
      throw this.#located(error);
    }
  }

  #located(error: unknown): unknown {
    const { signal } = this.#request;
    if (signal.aborted) return new Fault("cancelled", "build cancelled", { cause: error });
    const fault = Fault.from(error);
    const source = this.#source;
    if (fault instanceof BuildFault || source === undefined) return fault;
    const shared = { source, cause: fault, detail: fault.detail };
    if (fault instanceof NodeFault)
      return new BuildFault(fault.kind, fault.message, {
        ...shared,
        lines: fault.node.lines,
        vertex: fault.node.digest,
      });
    if (fault instanceof InstructionFault)
      return new BuildFault(fault.kind, fault.message, { ...shared, lines: [fault.instruction.lines] });
    return fault;
  }

  async #run(): Promise<BuildResult> {
    const { engine, scratch, platform: own } = this.#parts;
    const { client, options, progress, signal } = this.#request;
    const graph = new BuildGraph();
    await using inputs = new BuildInputs({
      ...{ engine, graph, client, progress, options, scratch, signal },
      inputs: this.#request.inputs ?? new Map(),
    });
    this.#source = await inputs.dockerfile();
    const read = readDockerfile(this.#source, options["target"] ?? "");
    const settings = await this.#check(inputs, this.#source, read);
    const platforms = platformsOf(options, own);
    const attestations = wantedAttestations(options);
    const startedMs = this.#parts.now().getTime();
    const others: LintWarning[] = [];
    const lowered = await this.#lower(graph, inputs, read, { platforms, warn: (each) => others.push(each) });
    this.#warn(inputs, this.#source, others, settings);
    for (const node of BuildGraph.reach(lowered.map(({ node }) => node))) progress.vertex(described(node));
    const buildArgs = prefixed(options, "build-arg:");
    const epochMs = epochOf(buildArgs);
    const { cacheMounts, workspaces, memory, cache, hall, now } = this.#parts;
    const { layers } = this.#parts;
    const imported = await ImportedCaches.open(
      { engine, layers, client, progress, signal },
      [...importedEntries(options), ...(this.#request.cacheImports ?? [])].map(cacheSource),
    );
    const misses = new Misses(this.#parts.missRecords, await this.#about());
    const cacheNamespace = buildArgs["BUILDKIT_CACHE_MOUNT_NS"] ?? "";
    await using solver = new Solver({
      ...{ engine, workspaces, cacheMounts, client, scratch, memory, cacheNamespace, epochMs },
      ...{ hall, cache, inputs, progress, misses, imported, now, signal },
    });
    const perPlatform: PlatformResult[] = [];
    const provenances: ((() => Predicate) | undefined)[] = [];
    const kept = new DisposableStack();
    // All platforms at once: what they share is done once.
    try {
      await settled(lowered.map(async ({ node }) => await solver.result(node)));
    } finally {
      await solver.tellReadings();
      misses.end(now().getTime(), BuildGraph.reach(lowered.map(({ node }) => node)));
    }
    for (const [index, each] of lowered.entries()) {
      const { chainId } = await solver.result(each.node);
      kept.use(cache.hold(chainId));
      const platform = platforms[index] ?? own;
      const described = await this.#describe(each, solver, chainId, epochMs);
      const base = each.base && { chainId: baseOf(each.node), historyLines: each.base.history.length };
      const built = { platform, config: described, chainId, base };
      const said = await this.#say(built, each, { wanted: attestations, inputs, startedMs });
      perPlatform.push({ ...built, predicates: said.predicates });
      provenances.push(said.provenance);
    }
    const steps = this.#exportsSteps ? await solver.steps(lowered.map(({ node }) => node)) : undefined;
    for (const { chainId } of steps ?? []) kept.use(cache.hold(chainId));
    await cache.collect();
    return {
      steps,
      perPlatform,
      epochMs,
      multiPlatform: platforms.length > 1 || options["multi-platform"] === "true",
      source: this.#source,
      provenance: (platform) => provenances[perPlatform.indexOf(platform)]?.(),
      [Symbol.dispose]: () => kept.dispose(),
    };
  }

  /** What is to be said of a result. */
  async #say(
    result: PlatformResult,
    { node }: LoweredStage,
    o: {
      readonly wanted: WantedAttestations;
      readonly inputs: BuildInputs;
      readonly startedMs: number;
    },
  ): Promise<{ readonly predicates: AttachedPredicate[]; readonly provenance?: () => Predicate }> {
    const { engine, workspaces, scratch, platform, now } = this.#parts;
    const { options, progress, signal, reference = "" } = this.#request;
    const { sbom, provenance } = o.wanted;
    const said: AttachedPredicate[] = [];
    if (sbom !== undefined) {
      const { inputs } = o;
      const parts = { engine, inputs, workspaces, progress, scratch, platform, signal };
      for (const each of await scan(result, sbom, parts)) said.push({ ...each, inlineOnly: false });
    }
    if (this.#source === undefined) return { predicates: said };
    const input = {
      ...{ options, reference, builderPlatform: platform, startedMs: o.startedMs },
      finishedMs: now().getTime(),
      ...{ materials: o.inputs.materials, root: node, source: this.#source },
    };
    const told = {
      predicates: said,
      provenance: () => provenancePredicate(input, fullProvenance(options)),
    };
    if (provenance === undefined) return told;
    const { inlineOnly } = provenance;
    said.push({ ...provenancePredicate(input, provenance), inlineOnly, file: "provenance.json" });
    return told;
  }

  get #exportsSteps(): boolean {
    return this.#request.cacheExports?.some(({ type }) => type !== "inline") === true;
  }

  /** Builds of one context are compared with one another. */
  async #about(): Promise<BuildPlace> {
    const { client, options, signal } = this.#request;
    const { filename = "", context = "", target = "" } = options;
    // An upload has a new address each time.
    const address = context.startsWith("http://buildkit-session/") ? "" : context;
    const origin = await client.origin(signal);
    return { dockerfile: filename || "Dockerfile", target, context: address, origin };
  }

  /** Tells the checks of the text that do not hold. @throws Fault when the Dockerfile wants them to. */
  async #check(inputs: BuildInputs, source: SourceFile, read: ReadDockerfile): Promise<CheckSettings> {
    const { engine, platform } = this.#parts;
    const { options } = this.#request;
    const ignoreText = /^\s*(?:copy|add)\s/im.test(source.text) ? await inputs.ignoreText() : undefined;
    const { warnings, settings } = lintSource(
      read,
      ignoreText,
      { engine, platform, options },
      options["target"] ?? "",
    );
    this.#warn(inputs, source, warnings, settings);
    return settings;
  }

  #warn(
    inputs: BuildInputs,
    source: SourceFile,
    found: readonly LintWarning[],
    settings: CheckSettings,
  ): void {
    const { progress } = this.#request;
    const warnings = found.filter(({ rule }) => settings.wants(rule as RuleName));
    for (const { rule, detail, description, url, lines } of warnings) {
      const short = `${rule}: ${detail} (line ${lines[0]?.start ?? 0})`;
      progress.warning({ vertex: inputs.definition, rule, short, detail: description, url, source, lines });
    }
    if (!settings.error || warnings.length === 0) return;
    const rules = [...new Set(warnings.map(({ rule }) => rule))].sort();
    throw new BuildFault("invalid", `lint violation found for rules: ${rules.join(", ")}`, {
      source,
      lines: warnings[0]?.lines ?? [],
    });
  }

  async #lower(
    graph: BuildGraph,
    inputs: BuildInputs,
    { dockerfile, stages }: ReadDockerfile,
    {
      platforms,
      warn,
    }: { readonly platforms: readonly Platform[]; readonly warn: (warning: LintWarning) => void },
  ): Promise<LoweredStage[]> {
    const { options, entitlements = ["network.host"] } = this.#request;
    const { platform: buildPlatform } = this.#parts;
    const buildArgs = prefixed(options, "build-arg:");
    const hostname = options["hostname"] ?? buildArgs["BUILDKIT_SANDBOX_HOSTNAME"] ?? "buildkitsandbox";
    const lowering = async (targetPlatform: Platform) =>
      await new Lowering(graph, inputs, stages, {
        ...{ escapeChar: dockerfile.escapeChar, target: options["target"] ?? "", buildArgs },
        ...{ buildPlatform, targetPlatform, hostname, host: hostOf(options) },
        showPlatform: platforms.length > 1,
        noCache: noCacheOf(options),
        labels: prefixed(options, "label:"),
        entitlements: new Set(entitlements),
        runs: (platform) => runsPrograms(platform, buildPlatform),
        otherPlatform: ({ from }, image, asked, got) => {
          const words = `was pulled with platform ${JSON.stringify(formatPlatform(got))}, expected ${JSON.stringify(formatPlatform(asked))} for current build`;
          warn(warningOf("InvalidBaseImagePlatform", `Base image ${image} ${words}`, from.lines));
        },
      }).target();
    return await settled(platforms.map(lowering));
  }

  async #describe(
    lowered: LoweredStage,
    solver: Solver,
    chainId: ChainId | undefined,
    epochMs: number | undefined,
  ): Promise<PlatformResult["config"]> {
    const made = new Map<BuildNode, MadeLayer>();
    for (const { node } of lowered.history)
      if (node !== undefined) {
        const { diffId, createdMs } = await solver.result(node);
        made.set(node, { diffId, createdMs });
      }
    const diffIds: Digest[] = [];
    const { layers, now } = this.#parts;
    for (let at = chainId; at !== undefined; at = layers.get(at)?.parent) {
      const layer = layers.get(at);
      if (layer !== undefined) diffIds.unshift(layer.diffId);
    }
    const config = imageConfig(lowered, { made, diffIds, epochMs, nowMs: now().getTime() });
    const inline = this.#request.cacheExports?.some(({ type }) => type === "inline") === true;
    return inline ? { ...config, ...this.#inlineCache(chainId) } : config;
  }

  /** What a later build needs to find the image's own steps in it. */
  #inlineCache(chainId: ChainId | undefined): Record<string, string> {
    const { layers, cache } = this.#parts;
    const steps = chainOf(chainId, layers).map((layer, at) => ({
      keys: cache.keysOf(layer.chainId),
      layer: at,
      createdMs: cache.createdOf(layer.chainId),
    }));
    return inlineRecords(steps);
  }
}

/** @throws BuildFault for a Dockerfile that cannot be built, at the first mistake. */
export function readDockerfile(source: SourceFile, target: string): ReadDockerfile {
  const [dockerfile, diagnostics] = parseDockerfile(source.text);
  const error = diagnostics.find(({ severity }) => severity === "error");
  if (error !== undefined) throw new BuildFault("invalid", mistake(error), { source, lines: [error.lines] });
  refuseFrontend(dockerfile, source);
  const stages = stagesOf(dockerfile);
  refuseCircles(stages.list, targetOf(stages.list, target));
  return { dockerfile, diagnostics, stages };
}

/** Every version of Docker's own is this one. */
function refuseFrontend({ directives }: Dockerfile, source: SourceFile): void {
  const frontend = directives.get("syntax");
  if (frontend === undefined || frontend === "dockerfile.v0") return;
  if (/^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@].*)?$/.test(frontend)) return;
  throw new BuildFault("unsupported", `custom frontend ${JSON.stringify(frontend)} is not supported`, {
    source,
  });
}

/** Waits for all, then throws what was thrown first. */
async function settled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}
