/** Pure. Docker's words for a container's files: changes, and what a path is. */
import * as v from "valibot";
import { Fault } from "./fault.ts";

/** One entry of `GET /containers/{id}/changes`: 0 modified, 1 added, 2 deleted. */
export interface FilesystemChange {
  Path: string;
  Kind: 0 | 1 | 2;
}

/** The header `X-Docker-Container-Path-Stat`, in base64. */
export const pathStatHeader = "X-Docker-Container-Path-Stat";

const pathStat = v.object({
  name: v.string(),
  size: v.number(),
  /** In the bits of Go's `fs.FileMode`. */
  mode: v.number(),
  mtime: v.string(),
  /** Absolute in the container; empty unless the path is a link. */
  linkTarget: v.string(),
});
export type ContainerPathStat = v.InferOutput<typeof pathStat>;

export function encodePathStat(stat: ContainerPathStat): string {
  return Buffer.from(JSON.stringify(stat)).toString("base64");
}

/** @throws Fault `internal` for what is none. */
export function decodePathStat(header: string | undefined): ContainerPathStat {
  try {
    return v.parse(pathStat, JSON.parse(Buffer.from(header ?? "", "base64").toString("utf8")));
  } catch (cause) {
    throw new Fault("internal", "the engine did not say what the path is", { cause });
  }
}

/** Bits of Go's `fs.FileMode`. */
export const goMode = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  pipe: 2 ** 25,
  socket: 2 ** 24,
};

export function hasGoMode(mode: number, bit: keyof typeof goMode): boolean {
  return Math.floor(mode / goMode[bit]) % 2 === 1;
}
