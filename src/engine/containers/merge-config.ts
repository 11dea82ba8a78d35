/** A container's config from what the request says and what its image says. Pure. */
import type { ContainerConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { ImageRunConfig } from "#spec/image.ts";

/**
 * Fills what the request leaves out from the image, by Docker's rules: maps are united with the request winning, the
 * image's variables follow the request's, and a given entrypoint drops the image's command.
 * @throws Fault `invalid` when nothing says what to run.
 */
export function mergeConfig(given: ContainerConfig, image: ImageRunConfig): ContainerConfig {
  const merged = uniteConfig(given, image);
  if (!merged.Entrypoint?.length && !merged.Cmd?.length) throw new Fault("invalid", "no command specified");
  return merged;
}

/** The same, also where nothing says what to run. */
export function uniteConfig(given: ContainerConfig, image: ImageRunConfig): ContainerConfig {
  const merged: ContainerConfig = {
    ...given,
    ...command(given, image),
    Env: mergeEnv(given.Env ?? [], image.Env ?? []),
    Labels: { ...imageLabels(image.Labels ?? {}), ...given.Labels },
  };
  const ports = { ...image.ExposedPorts, ...given.ExposedPorts };
  if (Object.keys(ports).length > 0) merged.ExposedPorts = ports;
  const volumes = { ...image.Volumes, ...given.Volumes };
  if (Object.keys(volumes).length > 0) merged.Volumes = volumes;
  if (!given.User && image.User) merged.User = image.User;
  if (!given.WorkingDir && image.WorkingDir) merged.WorkingDir = image.WorkingDir;
  if (!given.StopSignal && image.StopSignal) merged.StopSignal = image.StopSignal;
  if (given.Shell === undefined && image.Shell !== undefined) merged.Shell = image.Shell;
  if (image.OnBuild?.length) merged.OnBuild = image.OnBuild;
  const healthcheck = mergeHealthcheck(given.Healthcheck, image.Healthcheck);
  if (healthcheck !== undefined) merged.Healthcheck = healthcheck;
  return merged;
}

/** Keys that programs around the engine act on: an image is nobody's word for them. */
const reservedLabel = /^(?:com\.docker\.swarm\.|wherry\.)/;

function imageLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !reservedLabel.test(key)));
}

/** `--entrypoint ""` arrives as one empty word and means none, the image's neither. */
function command(given: ContainerConfig, image: ImageRunConfig): Pick<ContainerConfig, "Cmd" | "Entrypoint"> {
  const cleared = given.Entrypoint?.length === 1 && given.Entrypoint[0] === "";
  if (cleared) return { Entrypoint: null, Cmd: given.Cmd ?? null };
  if (given.Entrypoint?.length) return { Entrypoint: given.Entrypoint, Cmd: given.Cmd ?? null };
  const cmd = given.Cmd?.length ? given.Cmd : (image.Cmd ?? null);
  // A list of no words is one that was given.
  return { Entrypoint: given.Entrypoint ?? image.Entrypoint ?? null, Cmd: cmd };
}

function mergeEnv(given: readonly string[], image: readonly string[]): string[] {
  const names = new Set(given.map(variableName));
  return [...given, ...image.filter((line) => !names.has(variableName(line)))];
}

function variableName(line: string): string {
  const equals = line.indexOf("=");
  return equals < 0 ? line : line.slice(0, equals);
}

function mergeHealthcheck(
  given: ContainerConfig["Healthcheck"],
  image: ImageRunConfig["Healthcheck"],
): ContainerConfig["Healthcheck"] {
  if (given === undefined) return image;
  if (image === undefined) return given;
  const filled = {
    ...image,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => Boolean(value))),
  };
  return given.Test?.length ? { ...filled, Test: given.Test } : filled;
}
