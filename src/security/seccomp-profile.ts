/**
 * Pure. The default filter for system calls: what containers may do without endangering the machine or each other.
 * It allows and denies what Docker's does, so that programs find no difference; a test counts both.
 */
import type { OciSyscall, SeccompAction } from "#spec/oci-runtime.ts";
import { allowedCalls } from "./allowed-calls.ts";

/** Conditions must all hold for a rule to be in the filter. */
export interface ProfileRule extends OciSyscall {
  readonly includes?: RuleCondition;
  readonly excludes?: RuleCondition;
}

export interface RuleCondition {
  /** All of them held. */
  readonly caps?: readonly string[];
  /** One of them, in Go's words. */
  readonly arches?: readonly string[];
  /** `4.8`: this or newer. */
  readonly minKernel?: string;
}

export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number | undefined;
  readonly rules: readonly ProfileRule[];
  /** In libseccomp's names; absent for the machine's own and those whose programs it also runs. */
  readonly architectures?: readonly string[];
  /** Of seccomp(2): `SECCOMP_FILTER_FLAG_LOG` …. */
  readonly flags?: readonly string[];
}

const allow: SeccompAction = "SCMP_ACT_ALLOW";
const notPermitted = 1;
const noSuchCall = 38;

function calls(names: string, more: Partial<ProfileRule> = {}): ProfileRule {
  return { names: names.split(" "), action: allow, ...more };
}

function first(name: string, op: string, value: number): ProfileRule {
  return calls(name, { args: [{ index: 0, value, op }] });
}

/** Address families that reach past the container: AF_ALG and AF_VSOCK. */
const addressFamily = { alg: 38, vsock: 40 } as const;
/** `PER_LINUX`, `PER_LINUX32`, `UNAME26` with both, and the question which one it is (personality(2)). */
const personalities = [0, 0x8, 0x20000, 0x20008, 0xffffffff];
/** Every CLONE_NEW… flag but CLONE_NEWTIME, which shares its bit with the exit signal (clone(2)). */
const newNamespaces = 0x7e020000;
const s390 = ["s390", "s390x"];
const admin = { caps: ["CAP_SYS_ADMIN"] };
const traces = "process_vm_readv process_vm_writev ptrace";

const byCapability: readonly (readonly [capability: string, names: string])[] = [
  ["DAC_READ_SEARCH", "open_by_handle_at"],
  [
    "SYS_ADMIN",
    "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules " +
      "lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname " +
      "sethostname setns syslog umount umount2 unshare",
  ],
  ["SYS_BOOT", "reboot"],
  ["SYS_CHROOT", "chroot"],
  ["SYS_MODULE", "delete_module init_module finit_module"],
  ["SYS_PACCT", "acct"],
  ["SYS_PTRACE", `kcmp pidfd_getfd process_madvise ${traces}`],
  ["SYS_RAWIO", "iopl ioperm"],
  ["SYS_TIME", "settimeofday stime clock_settime clock_settime64"],
  ["SYS_TTY_CONFIG", "vhangup"],
  ["SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"],
  ["SYSLOG", "syslog"],
  ["BPF", "bpf"],
  ["PERFMON", "perf_event_open"],
];

const byArchitecture: readonly (readonly [arches: readonly string[], names: string])[] = [
  [["ppc64le"], "sync_file_range2 swapcontext"],
  [["arm", "arm64"], "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"],
  [["amd64", "x32"], "arch_prctl"],
  [["amd64", "x32", "386"], "modify_ldt"],
  [s390, "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"],
  [["riscv64"], "riscv_flush_icache"],
];

function cloneWithout(index: number, more: Partial<ProfileRule>): ProfileRule {
  const args = [{ index, value: newNamespaces, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }];
  return calls("clone", { args, ...more });
}

export const defaultProfile: SeccompProfile = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: notPermitted,
  rules: [
    { names: [...allowedCalls], action: allow },
    calls(traces, { includes: { minKernel: "4.8" } }),
    first("socket", "SCMP_CMP_LT", addressFamily.alg),
    first("socket", "SCMP_CMP_EQ", addressFamily.alg + 1),
    first("socket", "SCMP_CMP_GT", addressFamily.vsock),
    ...personalities.map((value) => first("personality", "SCMP_CMP_EQ", value)),
    ...byArchitecture.map(([arches, names]) => calls(names, { includes: { arches } })),
    ...byCapability.map(([name, names]) => calls(names, { includes: { caps: [`CAP_${name}`] } })),
    cloneWithout(0, { excludes: { ...admin, arches: s390 } }),
    cloneWithout(1, { includes: { arches: s390 }, excludes: admin }),
    // Its flags are behind a pointer no filter can follow; the C library then falls back to clone.
    { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: noSuchCall, excludes: admin },
  ],
};
