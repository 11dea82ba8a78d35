/**
 * Fields of a create request that mean nothing on current Linux, and that dockerd leaves out with a warning.
 * Pure. Owns: which these are, and dockerd's words.
 */

const warnings: Readonly<Record<string, string>> = {
  CpuCount: "linux does not support CPU count. Count discarded.",
  CpuPercent: "linux does not support CPU percent. Percent discarded.",
  KernelMemory:
    "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
  KernelMemoryTCP:
    "Your kernel does not support kernel memory TCP limit or the cgroup is not mounted. Limitation discarded.",
};

/** `host` is the `HostConfig` as it was sent. */
export function discardWarnings(host: unknown): string[] {
  if (typeof host !== "object" || host === null) return [];
  return Object.entries(warnings)
    .filter(([field]) => Number(Reflect.get(host, field) ?? 0) > 0)
    .map(([, warning]) => warning);
}
