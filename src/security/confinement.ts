/**
 * Pure. What keeps a container from the rest of the machine, from what its request says.
 * Owns: Docker's security options and defaults. Promises: an option is honoured or refused by name.
 */
import { Fault } from "#spec/fault.ts";
import type { Confinement } from "#spec/oci-runtime.ts";
import { resolveCapabilities } from "./capabilities.ts";
import { parseProfile, resolveSeccomp } from "./seccomp.ts";
import { defaultProfile, type SeccompProfile } from "./seccomp-profile.ts";

export interface ConfinementRequest {
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly privileged: boolean;
  readonly securityOpt: readonly string[];
  /** Null or absent: Docker's; an empty list: none. */
  readonly maskedPaths?: readonly string[] | null | undefined;
  readonly readonlyPaths?: readonly string[] | null | undefined;
}

export interface Machine {
  /** In Go's words. */
  readonly architecture: string;
  readonly kernelRelease: string;
  /** Of capabilities: /proc/sys/kernel/cap_last_cap. */
  readonly lastCapability: number;
  /** The engine's own, one bit each (`CapBnd` in proc_pid_status(5)): others it cannot give away. */
  readonly ownCapabilities: bigint;
  readonly hasApparmor: boolean;
}

/** What tells of the machine or changes it; hidden. */
export const defaultMaskedPaths: readonly string[] = [
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

export const defaultReadonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

interface Options {
  noNewPrivileges: boolean;
  /** Undefined for the default, null for none. */
  seccomp: SeccompProfile | null | undefined;
  apparmor: string | undefined;
  systemPaths: boolean;
}

/** @throws Fault `invalid` or `unsupported` naming the option. */
export function confinement(o: ConfinementRequest, machine: Machine): Confinement {
  const options = parseOptions(o.securityOpt, machine);
  const capabilities = resolveCapabilities({
    add: o.capAdd,
    drop: o.capDrop,
    privileged: o.privileged,
    last: machine.lastCapability,
    own: machine.ownCapabilities,
  });
  const profile = options.seccomp === undefined && !o.privileged ? defaultProfile : options.seccomp;
  const open = o.privileged || !options.systemPaths;
  return {
    capabilities,
    ...(profile && { seccomp: resolveSeccomp(profile, { ...machine, capabilities }) }),
    maskedPaths: open ? [] : (o.maskedPaths ?? defaultMaskedPaths),
    readonlyPaths: open ? [] : (o.readonlyPaths ?? defaultReadonlyPaths),
    noNewPrivileges: options.noNewPrivileges,
    ...(options.apparmor !== undefined && { apparmorProfile: options.apparmor }),
    privileged: o.privileged,
  };
}

function parseOptions(texts: readonly string[], machine: Machine): Options {
  const options: Options = {
    noNewPrivileges: false,
    seccomp: undefined,
    apparmor: undefined,
    systemPaths: true,
  };
  for (const text of texts) {
    const at = text.search(/[=:]/);
    const [key, value] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
    readOption(options, key, value, text, machine);
  }
  return options;
}

function readOption(
  options: Options,
  key: string,
  value: string | undefined,
  text: string,
  machine: Machine,
): void {
  if (key === "no-new-privileges") {
    if (value !== undefined && value !== "true" && value !== "false")
      throw new Fault("invalid", `invalid --security-opt: ${JSON.stringify(text)}`);
    options.noNewPrivileges = value !== "false";
    return;
  }
  if (value === undefined) throw new Fault("invalid", `invalid --security-opt: ${JSON.stringify(text)}`);
  switch (key) {
    case "seccomp":
      options.seccomp =
        value === "unconfined" ? null : value === "builtin" ? defaultProfile : parseProfile(value);
      return;
    case "apparmor":
      if (value !== "unconfined" && value !== "" && !machine.hasApparmor)
        throw new Fault(
          "unsupported",
          `the AppArmor profile ${value} cannot be used: this kernel has no AppArmor`,
        );
      if (machine.hasApparmor) options.apparmor = value;
      return;
    case "label":
      if (value !== "disable")
        throw new Fault(
          "unsupported",
          `the SELinux label option ${JSON.stringify(text)} is not supported; use label=disable`,
        );
      return;
    case "systempaths":
      if (value !== "unconfined")
        throw new Fault("invalid", `invalid --security-opt: ${JSON.stringify(text)}`);
      options.systemPaths = false;
      return;
    default:
      throw new Fault("invalid", `invalid --security-opt 2: ${JSON.stringify(text)}`);
  }
}
