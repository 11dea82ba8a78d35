/** Pure. `--volumes-from CONTAINER[:ro]`: the mounts of other containers, as this one has them. */
import type { ContainerRecord, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

const words = new Set(["ro", "rw", "z", "Z", "consistent", "cached", "delegated"]);

/** Of one place the last one counts. @throws Fault `invalid` in dockerd's words. */
export function mountsFrom(
  specs: readonly string[],
  others: (reference: string) => ContainerRecord,
): MountPoint[] {
  const byPlace = new Map<string, MountPoint>();
  for (const spec of specs) {
    const { reference, writable } = parse(spec);
    for (const mount of donor(reference, others).mounts)
      byPlace.set(mount.destination, {
        ...mount,
        mode: mount.type === "tmpfs" ? mount.mode : "",
        readWrite: mount.readWrite && writable,
        copyUp: false,
      });
  }
  return [...byPlace.values()];
}

function parse(spec: string): { reference: string; writable: boolean } {
  if (spec === "") throw new Fault("invalid", "volumes-from specification cannot be an empty string");
  const at = spec.indexOf(":");
  const [reference, mode] = at < 0 ? [spec, "rw"] : [spec.slice(0, at), spec.slice(at + 1)];
  const given = mode.split(",");
  if (!given.every((word) => words.has(word)) || (given.includes("ro") && given.includes("rw")))
    throw new Fault("invalid", `invalid mode: ${mode}`);
  return { reference, writable: !given.includes("ro") };
}

function donor(reference: string, others: (reference: string) => ContainerRecord): ContainerRecord {
  try {
    return others(reference);
  } catch (cause) {
    throw new Fault("invalid", Fault.from(cause).message, { cause });
  }
}
