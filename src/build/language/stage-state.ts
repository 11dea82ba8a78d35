/**
 * Pure. Where a stage stands between two instructions: its configuration, and what its words may refer to.
 * Promises: a step costs what it changes, not what was said before it.
 */
import type { ImageRunConfig } from "#spec/image.ts";
import type { ArgumentScope } from "./build-args.ts";
import type { Environment } from "./expand.ts";
import { GrowingMap } from "./growing-map.ts";

/** What is only named in a configuration. */
type Named = Record<string, never>;

/** Where a stage stands between two instructions. */
export interface StageState {
  /** Its configuration but for what grows with every instruction: `configOf` puts it together. */
  readonly config: Omit<ImageRunConfig, "Env" | "Labels" | "ExposedPorts" | "Volumes">;
  /** Lines of `Env` by their names. */
  readonly env: GrowingMap<string>;
  /** Undefined until there is one. */
  readonly labels: GrowingMap<string> | undefined;
  readonly ports: GrowingMap<Named> | undefined;
  readonly volumes: GrowingMap<Named> | undefined;
  /** From MAINTAINER in this stage. */
  readonly author: string;
  /** CMD was set in this stage: ENTRYPOINT must not reset it. */
  readonly commandSet: boolean;
  readonly scope: ArgumentScope;
}

export const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The state right behind FROM. `config` is the base's, undefined for scratch. */
export function beginStage(config: ImageRunConfig | undefined, scope: ArgumentScope): StageState {
  const { OnBuild: _, ...rest } = config ?? {};
  const state = stateOf(rest, scope);
  const { env } = state;
  return env.has("PATH") ? state : { ...state, env: env.with("PATH", defaultPath) };
}

/** A state with just that configuration. */
export function stateOf(
  { Env, Labels, ExposedPorts, Volumes, ...config }: ImageRunConfig,
  scope: ArgumentScope,
): StageState {
  return {
    config,
    env: environmentLines(Env ?? []),
    labels: growingOf(Labels),
    ports: growingOf(ExposedPorts),
    volumes: growingOf(Volumes),
    author: "",
    commandSet: false,
    scope,
  };
}

/** By name; of several lines with one name the last has it. */
function environmentLines(lines: readonly string[]): GrowingMap<string> {
  const named = lines.map((line) => [nameOf(line), line] as const);
  const last = new Map(named.map(([name], index) => [name, index]));
  return GrowingMap.of(
    named.map(([name, line], index) => [last.get(name) === index ? name : `\0${index}`, line] as const),
  );
}

function nameOf(line: string): string {
  const equals = line.indexOf("=");
  return equals < 0 ? line : line.slice(0, equals);
}

function growingOf<V>(from: Readonly<Record<string, V>> | null | undefined): GrowingMap<V> | undefined {
  return from === undefined || from === null ? undefined : GrowingMap.of(Object.entries(from));
}

/** With those entries, one after another. */
export function grown<V>(
  map: GrowingMap<V> | undefined,
  entries: Iterable<readonly [string, V]>,
): GrowingMap<V> {
  let all = map ?? GrowingMap.of<V>([]);
  for (const [key, value] of entries) all = all.with(key, value);
  return all;
}

/** The configuration that an image of the stage would have. */
export function configOf({ config, env, labels, ports, volumes }: StageState): ImageRunConfig {
  return {
    ...config,
    ...(env.size > 0 && { Env: env.values() }),
    ...(labels !== undefined && { Labels: labels.toObject() }),
    ...(ports !== undefined && { ExposedPorts: ports.toObject() }),
    ...(volumes !== undefined && { Volumes: volumes.toObject() }),
  };
}

/** What words of the stage may refer to. */
export function stageEnvironment({ env, scope }: StageState): Environment {
  return {
    get: (name) => {
      if (scope.isAbove(name)) return scope.get(name);
      const line = env.get(name);
      return line === undefined ? scope.get(name) : line.slice(name.length + 1);
    },
  };
}
