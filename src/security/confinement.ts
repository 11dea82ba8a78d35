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
  /** Whether AppArmor knows a profile. */
  readonly hasProfile: (name: string) => boolean;
  /** Loaded for containers that ask for none. */
  readonly apparmorProfile: string | undefined;
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
  writableCgroups: boolean;
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
  const apparmor = options.apparmor ?? (o.privileged ? undefined : machine.apparmorProfile);
  const open = o.privileged || !options.systemPaths;
  return {
    capabilities,
    ...(profile && { seccomp: resolveSeccomp(profile, { ...machine, capabilities }) }),
    maskedPaths: open ? [] : (o.maskedPaths ?? defaultMaskedPaths),
    readonlyPaths: open ? [] : (o.readonlyPaths ?? defaultReadonlyPaths),
    noNewPrivileges: options.noNewPrivileges,
    ...(apparmor !== undefined && apparmor !== "unconfined" && { apparmorProfile: apparmor }),
    writableCgroups: o.privileged || options.writableCgroups,
    privileged: o.privileged,
  };
}

const blankOptions: Options = {
  noNewPrivileges: false,
  seccomp: undefined,
  apparmor: undefined,
  systemPaths: true,
  writableCgroups: false,
};

/** Options that may stand without a value, which then is true. */
const switches = new Set(["no-new-privileges", "writable-cgroups", "disable"]);

function parseOptions(texts: readonly string[], machine: Machine): Options {
  const options = { ...blankOptions };
  for (const text of texts) {
    const equals = text.indexOf("=");
    const at = equals < 0 ? text.indexOf(":") : equals;
    const [key, value] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
    if (value === undefined && !switches.has(key)) throw invalidOption(1, text);
    readOption(options, key, value, text, machine);
  }
  return options;
}

/** dockerd numbers its two refusals. */
function invalidOption(number: 1 | 2, text: string): Fault {
  return new Fault("invalid", `invalid --security-opt ${number}: ${JSON.stringify(text)}`);
}

function readOption(
  options: Options,
  key: string,
  value: string | undefined,
  text: string,
  machine: Machine,
): void {
  switch (key) {
    case "no-new-privileges":
      options.noNewPrivileges = parseSwitch(value, text);
      return;
    case "writable-cgroups":
      options.writableCgroups = parseSwitch(value, text);
      return;
    case "seccomp":
      options.seccomp = parseFilter(value ?? "", machine);
      return;
    case "apparmor":
      options.apparmor = parseApparmor(value ?? "", machine);
      return;
    case "label":
    case "disable":
      if (text !== "disable" && value !== "disable")
        throw new Fault(
          "unsupported",
          `the SELinux label option ${JSON.stringify(text)} cannot be honoured: this engine does not label containers; use label=disable`,
        );
      return;
    case "systempaths":
      // The docker CLI makes empty lists of paths of it; other clients send it as it is.
      if (value !== "unconfined") throw invalidOption(2, text);
      options.systemPaths = false;
      return;
    default:
      throw invalidOption(2, text);
  }
}

function parseSwitch(value: string | undefined, text: string): boolean {
  if (value === undefined || /^(?:1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw invalidOption(2, text);
}

function parseFilter(value: string, machine: Machine): SeccompProfile | null {
  if (value === "unconfined") return null;
  return value === "builtin" ? defaultProfile : parseProfile(value, machine.architecture);
}

function parseApparmor(value: string, machine: Machine): string | undefined {
  if (value === "") return undefined;
  if (value === "unconfined") return value;
  if (!machine.hasApparmor)
    throw new Fault(
      "unsupported",
      `the AppArmor profile ${value} cannot be used: this kernel has no AppArmor`,
    );
  if (machine.hasProfile(value)) return value;
  throw new Fault(
    "invalid",
    `the AppArmor profile ${value} is not loaded: load it with apparmor_parser --replace`,
  );
}
