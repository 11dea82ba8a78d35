/**
 * Engine API versions: `1.NN`, kept as the number NN.
 * Pure. Owns: the range served and Docker's refusals.
 */
import { Fault } from "#spec/fault.ts";

/** Oldest served; skopeo asks for it. */
export const oldestVersion = 22;
/** Newest served, and what a path without a version means. */
export const newestVersion = 50;

export function formatVersion(minor: number): string {
  return `1.${minor}`;
}

/**
 * The minor number of a version found in a path.
 * @throws Fault `invalid` in dockerd's words when it is outside the range served.
 */
export function parseVersion(text: string): number {
  const [major = 0, minor = 0] = text.split(".").map(Number);
  if (major < 1 || (major === 1 && minor < oldestVersion))
    throw new Fault(
      "invalid",
      `client version ${text} is too old. Minimum supported API version is ${formatVersion(oldestVersion)}, please upgrade your client to a newer version`,
    );
  if (major > 1 || minor > newestVersion)
    throw new Fault(
      "invalid",
      `client version ${text} is too new. Maximum supported API version is ${formatVersion(newestVersion)}`,
    );
  return minor;
}
