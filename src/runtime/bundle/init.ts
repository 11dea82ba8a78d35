/**
 * The small init of `--init`: first process of a container, passes signals on and reaps.
 * Which program it is: one for the job from Debian, static, so that it runs in any image.
 */

import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

/** Where it is in a container, as with Docker. */
export const initPathInside = "/sbin/docker-init";

/** All take `-- COMMAND`. */
const programs = ["docker-init", "tini-static", "catatonit"] as const;

/** Pure. Only in processes' own namespace is there a first one to be. */
export function wantsInit(host: HostConfig, byDefault: boolean): boolean {
  return (host.Init ?? byDefault) && (host.PidMode ?? "") === "";
}

/** Its path on the machine. @throws Fault `unavailable` that names the package. */
export function findInit(): string {
  const found = programs.map((name) => Bun.which(name)).find((path) => path !== null);
  if (found !== undefined && found !== null) return found;
  throw new Fault(
    "unavailable",
    'exec: "docker-init": executable file not found in $PATH: install Debian\'s tini',
  );
}
