/**
 * Pure. How a result came about, as SLSA has it (slsa.dev/provenance v0.2 and v1), in the words and fields that BuildKit uses
 * (moby/buildkit docs/attestations/slsa-definitions.md).
 * Promises: no secret is in it, only what secrets are called; an address goes without its password.
 */
import { type ChainId, type Digest, encodedDigest } from "#spec/digest.ts";
import type { Platform } from "#spec/image.ts";
import { formatPlatform } from "#spec/platform.ts";
import { familiarName, parseReference, withDefaultTag } from "#spec/reference.ts";
import type { WantedProvenance } from "./attest-options.ts";
import type { FrontendOptions } from "./build-options.ts";
import { BuildGraph, type BuildNode } from "./graph.ts";
import type { SourceFile } from "./progress.ts";

export interface ProvenanceInput {
  readonly options: FrontendOptions;
  readonly builderPlatform: Platform;
  /** Of the build. */
  readonly reference: string;
  readonly startedMs: number;
  readonly finishedMs: number;
  readonly materials: readonly Material[];
  /** What the result stands on. */
  readonly root: BuildNode | undefined;
  readonly source: SourceFile;
}

export interface Material {
  /** In full. */
  readonly reference: string;
  readonly digest: Digest;
  readonly platform?: Platform | undefined;
  readonly chainId?: ChainId | undefined;
}

export interface Predicate {
  readonly type: string;
  readonly value: object;
}

const buildType = {
  "v0.2": "https://mobyproject.org/buildkit@v1",
  v1: "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
};
/** Say something of the machine, not of the build. */
const hostArguments = ["cgroup-parent", "image-resolve-mode", "platform", "cache-imports", "cache-from"];

export function provenancePredicate(input: ProvenanceInput, wanted: WantedProvenance): Predicate {
  const max = wanted.mode === "max";
  const nodes = BuildGraph.reach([input.root]);
  const locals = [...new Set(["dockerfile", ...nodes.flatMap(localOf)])].sort();
  const remote = input.options[input.options["contextkey"] ?? "context"] ?? "";
  const isRemote = remote !== "" && !remote.startsWith("local:");
  const parameters = {
    frontend: "dockerfile.v0",
    args: argumentsOf(input.options, max),
    ...(max && { secrets: mountedIn(nodes, "secret"), ssh: mountedIn(nodes, "ssh") }),
    ...(!isRemote && { locals: locals.map((name) => ({ name })) }),
  };
  const vcs = Object.fromEntries(
    Object.entries(input.options)
      .filter(([name]) => name.startsWith("vcs:"))
      .map(([name, value]) => [name.slice("vcs:".length), withoutPassword(value)]),
  );
  const entry = input.options["filename"] ?? "Dockerfile";
  const about = {
    ...(Object.keys(vcs).length > 0 && { vcs }),
    ...(max && { source: sourceOf(nodes, input.source) }),
  };
  const buildConfig = max ? { llbDefinition: stepsOf(nodes) } : undefined;
  const used = new Set(nodes.flatMap(imageIn));
  const materials = input.materials.filter(
    ({ reference, chainId }) => chainId === undefined || used.has(`${reference} ${chainId}`),
  );
  const dependencies = materials.map(({ reference, digest, platform }) => ({
    uri: packageUrl(reference, platform),
    digest: { sha256: encodedDigest(digest) },
  }));
  const parts = { input, wanted, parameters, about, buildConfig, dependencies, isRemote };
  const source = { ...(isRemote && { uri: withoutPassword(remote) }) };
  return wanted.version === "v1"
    ? { type: "https://slsa.dev/provenance/v1", value: inVersion1(parts, { ...source, path: entry }) }
    : {
        type: "https://slsa.dev/provenance/v0.2",
        value: inVersion02(parts, { ...source, entryPoint: entry }),
      };
}

interface Parts {
  readonly input: ProvenanceInput;
  readonly wanted: WantedProvenance;
  readonly parameters: object;
  readonly about: object;
  readonly buildConfig: object | undefined;
  readonly dependencies: readonly object[];
  readonly isRemote: boolean;
}

function inVersion02({ input, wanted, parameters, about, ...more }: Parts, configSource: object): object {
  return {
    builder: { id: wanted.builderId },
    buildType: buildType["v0.2"],
    materials: more.dependencies,
    invocation: {
      configSource,
      parameters,
      environment: { platform: formatPlatform(input.builderPlatform) },
    },
    ...(more.buildConfig !== undefined && { buildConfig: more.buildConfig }),
    metadata: {
      buildInvocationID: input.reference,
      buildStartedOn: iso(input.startedMs),
      buildFinishedOn: iso(input.finishedMs),
      // A directory of the client's is not among the materials.
      completeness: { parameters: true, environment: true, materials: more.isRemote },
      reproducible: wanted.reproducible,
      "https://mobyproject.org/buildkit@v1#metadata": about,
    },
  };
}

function inVersion1({ input, wanted, parameters, about, ...more }: Parts, configSource: object): object {
  return {
    buildDefinition: {
      buildType: buildType.v1,
      externalParameters: { configSource, request: parameters },
      internalParameters: {
        builderPlatform: formatPlatform(input.builderPlatform),
        ...(more.buildConfig !== undefined && { buildConfig: more.buildConfig }),
      },
      resolvedDependencies: more.dependencies,
    },
    runDetails: {
      builder: { id: wanted.builderId },
      metadata: {
        invocationId: input.reference,
        startedOn: iso(input.startedMs),
        finishedOn: iso(input.finishedMs),
        buildkit_metadata: about,
        buildkit_completeness: { request: true, resolvedDependencies: more.isRemote },
        ...(wanted.reproducible && { buildkit_reproducible: true }),
      },
    },
  };
}

function argumentsOf(options: FrontendOptions, max: boolean): Record<string, string> {
  const kept = Object.entries(options).filter(
    ([name]) =>
      !hostArguments.includes(name) &&
      !/^(?:attest:|vcs:|wherry:|sharedkey:|local-sessionid:|build-arg:BUILDKIT_ATTEST_)/.test(name) &&
      (max || !/^(?:build-arg:|label:)/.test(name)),
  );
  return Object.fromEntries(
    kept
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, value]) => [name, withoutPassword(value)]),
  );
}

function imageIn({ operation }: BuildNode): string[] {
  return operation.kind === "image" ? [`${operation.reference} ${operation.chainId}`] : [];
}

function localOf({ operation }: BuildNode): string[] {
  return operation.kind === "files" ? [operation.context] : [];
}

function mountedIn(nodes: readonly BuildNode[], type: "secret" | "ssh"): { readonly id: string }[] {
  const ids = nodes.flatMap(({ operation }) =>
    operation.kind === "run"
      ? operation.mounts.flatMap(({ mount }) => (mount.type === type ? [mount.id || "default"] : []))
      : [],
  );
  return [...new Set(ids)].sort().map((id) => ({ id }));
}

/** What each step did, in BuildKit's words for it; the last one is what the result is. */
function stepsOf(nodes: readonly BuildNode[]): object[] {
  const ids = new Map([...nodes].reverse().map((node, at) => [node, `step${at}`]));
  return [...ids].map(([node, id]) => {
    const inputs = node.inputs.flatMap((input) => (input === undefined ? [] : [`${ids.get(input)}:0`]));
    return { id, op: { Op: operationOf(node), constraints: {} }, ...(inputs.length > 0 && { inputs }) };
  });
}

function operationOf({ operation }: BuildNode): object {
  switch (operation.kind) {
    case "image":
      return { source: { identifier: `docker-image://${operation.reference}` } };
    case "files":
      return { source: { identifier: `local://${operation.context}` } };
    case "make-directory":
      return { file: { actions: [{ Action: { mkdir: { path: operation.path, mode: 0o755 } } }] } };
    case "run": {
      const { work, config } = operation;
      // Hidden variables are arguments that are not to be known (proxies).
      const hidden = new Set(work.hidden);
      const env = [...(config.Env ?? []), ...work.env].filter(
        (line) => !hidden.has(line.split("=", 1)[0] ?? ""),
      );
      const mounts = operation.mounts.map(({ mount }) => ({ dest: mount.target, mountType: mount.type }));
      return {
        exec: {
          meta: { args: work.args, env, cwd: config.WorkingDir || "/" },
          ...(mounts.length > 0 && { mounts }),
        },
      };
    }
    case "transfer": {
      const { sources, destination } = operation.transfer;
      const actions = sources.map((src) => ({
        Action: { copy: { src: withoutPassword(src), dest: destination } },
      }));
      return { file: { actions } };
    }
  }
}

function sourceOf(nodes: readonly BuildNode[], { filename, text }: SourceFile): object {
  const locations: Record<string, object> = {};
  for (const [at, node] of [...nodes].reverse().entries())
    if (node.lines.length > 0)
      locations[`step${at}`] = {
        locations: [
          { ranges: node.lines.map(({ start, end }) => ({ start: { line: start }, end: { line: end } })) },
        ],
      };
  const data = Buffer.from(text).toString("base64");
  return { locations, infos: [{ filename, language: "Dockerfile", data }] };
}

/** `pkg:docker/busybox@1.36?platform=linux%2Famd64` (package-url.github.io). */
export function packageUrl(reference: string, platform?: Platform): string {
  const parsed = withDefaultTag(parseReference(reference));
  const path = familiarName(parsed).split("/").map(encodeURIComponent).join("/");
  const version = parsed.tag === undefined ? "" : `@${encodeURIComponent(parsed.tag)}`;
  const qualifiers = [
    ...(parsed.digest === undefined ? [] : [`digest=${parsed.digest}`]),
    ...(platform === undefined ? [] : [`platform=${encodeURIComponent(formatPlatform(platform))}`]),
  ];
  return `pkg:docker/${path}${version}${qualifiers.length > 0 ? `?${qualifiers.join("&")}` : ""}`;
}

function withoutPassword(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@\s]*@/i, "$1xxxxx@");
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
