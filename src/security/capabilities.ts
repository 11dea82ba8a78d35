/** Pure. Capabilities of a container: Docker's default set, and what is added and dropped (capabilities(7)). */
import { Fault } from "#spec/fault.ts";

/** In the kernel's order of numbers. */
export const allCapabilities: readonly string[] = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

export const defaultCapabilities: readonly string[] = (
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL " +
  "AUDIT_WRITE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

export interface CapabilityRequest {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
  /** The highest number the kernel knows, from /proc/sys/kernel/cap_last_cap. */
  readonly last: number;
  /** What the engine itself has, one bit each. */
  readonly own: bigint;
}

/**
 * Names with or without `CAP_`, in any case, `ALL` for every one there is to give, which is what privileged means too.
 * What is added by name stays whatever is dropped, and what is dropped by name goes although all are added.
 * @throws Fault `invalid` for an unknown name, in dockerd's words.
 */
export function resolveCapabilities(o: CapabilityRequest): string[] {
  const known = allCapabilities
    .slice(0, o.last + 1)
    .filter((_, number) => (o.own & (1n << BigInt(number))) !== 0n);
  const [add, drop] = [normalized(o.add, "CapAdd"), normalized(o.drop, "CapDrop")];
  if (o.privileged) return [...known];
  const [addAll, dropAll] = [add.includes("ALL"), drop.includes("ALL")];
  const base = addAll ? known : dropAll ? [] : defaultCapabilities;
  const kept = base.filter((name) => !drop.includes(name));
  // What is both added and dropped by name is added, as dockerd has it; not so beside all.
  const added = add.filter((name) => name !== "ALL" && !addAll && !kept.includes(name));
  return [...kept, ...added];
}

function normalized(names: readonly string[], field: string): string[] {
  return names.map((given) => {
    const upper = given.trim().toUpperCase();
    if (upper === "ALL") return upper;
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (!allCapabilities.includes(name))
      throw new Fault("invalid", `invalid ${field}: unknown capability: ${JSON.stringify(name)}`);
    return name;
  });
}
