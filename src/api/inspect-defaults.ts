import type { InspectDefaults } from "./container-inspect.ts";
import type { SystemFacts } from "./engine-face.ts";

const maskedPaths = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** What `inspect` shows where a container leaves the choice to the engine. */
export function inspectDefaults(facts: SystemFacts): InspectDefaults {
  const { runtimeName, apparmorProfile } = facts;
  return { runtimeName, maskedPaths, readonlyPaths, apparmorProfile };
}
