/** Whether mounts can be passed on between a bind's source and a container, as dockerd checks it. Pure. */
import type { MountInfo } from "#kernel/mounts/mount-info.ts";
import { Fault } from "#spec/fault.ts";

/**
 * `path` has no links, `mounts` are those of this machine in their order.
 * @throws Fault `internal`, in dockerd's words, for `shared` and `slave` where the source's mount is private.
 */
export function checkPropagation(path: string, propagation: string, mounts: readonly MountInfo[]): void {
  const wanted = propagation.replace(/^r/, "");
  if (wanted !== "shared" && wanted !== "slave") return;
  const mount = mountOf(path, mounts);
  const has = (word: "shared" | "slave") => mount?.propagation.split(",").includes(word) === true;
  if (has("shared") || (wanted === "slave" && has("slave"))) return;
  const needed = wanted === "shared" ? "shared" : "shared or slave";
  throw new Fault(
    "internal",
    `path ${path} is mounted on ${mount?.target ?? "/"} but it is not a ${needed} mount`,
  );
}

/** The one that shows the path: of the longest target, the last. */
function mountOf(path: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  let found: MountInfo | undefined;
  for (const mount of mounts) {
    const { target } = mount;
    const holds = target === "/" || path === target || path.startsWith(`${target}/`);
    if (holds && target.length >= (found?.target.length ?? 0)) found = mount;
  }
  return found;
}
