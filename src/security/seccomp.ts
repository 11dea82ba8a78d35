/** Pure. A profile of system calls resolved for one container: its capabilities, machine and kernel. */
import * as v from "valibot";
import { Fault } from "#spec/fault.ts";
import type { OciSeccomp, OciSyscall, SeccompAction } from "#spec/oci-runtime.ts";
import type { ProfileRule, RuleCondition, SeccompProfile } from "./seccomp-profile.ts";

export interface ResolveFor {
  /** The bounding set: `CAP_CHOWN` …. */
  readonly capabilities: readonly string[];
  /** In Go's words. */
  readonly architecture: string;
  /** `6.1.0-28-amd64`; major and minor count. */
  readonly kernelRelease: string;
}

/** A machine's own architecture and those whose programs it also runs. */
const architectures: Readonly<Record<string, readonly string[]>> = {
  amd64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
  mips64: ["SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64N32"],
  mips64le: ["SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64N32"],
  s390x: ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
  riscv64: ["SCMP_ARCH_RISCV64"],
  loong64: ["SCMP_ARCH_LOONGARCH64"],
};

export function resolveSeccomp(profile: SeccompProfile, o: ResolveFor): OciSeccomp {
  const own = profile.architectures ?? architectures[o.architecture];
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet !== undefined && { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(own !== undefined && { architectures: [...own] }),
    ...(profile.flags !== undefined && { flags: [...profile.flags] }),
    syscalls: profile.rules.filter((rule) => applies(rule, o)).map(withoutConditions),
  };
}

function applies({ includes = {}, excludes = {} }: ProfileRule, o: ResolveFor): boolean {
  if (excludes.caps?.some((name) => o.capabilities.includes(name))) return false;
  if (excludes.arches?.includes(o.architecture)) return false;
  if (excludes.minKernel !== undefined && isAtLeast(o.kernelRelease, excludes.minKernel)) return false;
  if (includes.caps?.some((name) => !o.capabilities.includes(name))) return false;
  if (includes.arches !== undefined && !includes.arches.includes(o.architecture)) return false;
  return includes.minKernel === undefined || isAtLeast(o.kernelRelease, includes.minKernel);
}

function isAtLeast(release: string, wanted: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function withoutConditions(rule: ProfileRule): OciSyscall {
  const { includes: _, excludes: __, ...call } = rule;
  return call;
}

const condition = v.optional(
  v.nullable(
    v.object({
      caps: v.optional(v.nullable(v.array(v.string()))),
      arches: v.optional(v.nullable(v.array(v.string()))),
      minKernel: v.optional(v.string()),
    }),
  ),
);

const argument = v.object({
  index: v.number(),
  value: v.number(),
  valueTwo: v.optional(v.number()),
  op: v.string(),
});

const profileSchema = v.object({
  defaultAction: v.optional(v.string(), ""),
  architectures: v.optional(v.nullable(v.array(v.string()))),
  archMap: v.optional(
    v.nullable(
      v.array(
        v.object({ architecture: v.string(), subArchitectures: v.optional(v.nullable(v.array(v.string()))) }),
      ),
    ),
  ),
  flags: v.optional(v.nullable(v.array(v.string()))),
  defaultErrnoRet: v.optional(v.nullable(v.number())),
  syscalls: v.optional(
    v.array(
      v.object({
        name: v.optional(v.string()),
        names: v.optional(v.nullable(v.array(v.string()))),
        action: v.string(),
        errnoRet: v.optional(v.nullable(v.number())),
        args: v.optional(v.nullable(v.array(argument))),
        includes: condition,
        excludes: condition,
      }),
    ),
  ),
});

/**
 * A profile as `--security-opt seccomp=FILE` sends it: the text of the file. `architecture`, in Go's words, picks from its
 * map. Null for one that says nothing, which filters nothing.
 * @throws Fault `invalid`.
 */
export function parseProfile(text: string, architecture: string): SeccompProfile | null {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid", `Decoding seccomp profile failed: ${Fault.from(cause).message}`, { cause });
  }
  const parsed = v.safeParse(profileSchema, given);
  if (!parsed.success)
    throw new Fault(
      "invalid",
      `Decoding seccomp profile failed: ${v.getDotPath(parsed.issues[0]) ?? ""}: ${parsed.issues[0].message}`,
    );
  const { defaultAction, defaultErrnoRet, syscalls = [], flags } = parsed.output;
  if (defaultAction === "" && syscalls.length === 0) return null;
  if (syscalls.some(({ name, names }) => name !== undefined && (names ?? []).length > 0))
    throw new Fault(
      "invalid",
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    );
  const arches = profileArchitectures(parsed.output, architecture);
  return {
    defaultAction: defaultAction as SeccompAction,
    ...(arches !== undefined && { architectures: arches }),
    ...(flags && { flags }),
    ...(typeof defaultErrnoRet === "number" && { defaultErrnoRet }),
    rules: syscalls.map(({ name, names, action, errnoRet, args, includes, excludes }) => ({
      names: [...(names ?? []), ...(name === undefined ? [] : [name])],
      action: action as SeccompAction,
      ...(typeof errnoRet === "number" && { errnoRet }),
      ...(args && {
        args: args.map(({ valueTwo, ...rest }) => ({ ...rest, ...(valueTwo !== undefined && { valueTwo }) })),
      }),
      ...(includes && { includes: tidied(includes) }),
      ...(excludes && { excludes: tidied(excludes) }),
    })),
  };
}

function profileArchitectures(
  profile: v.InferOutput<typeof profileSchema>,
  architecture: string,
): readonly string[] | undefined {
  const [list, map] = [profile.architectures ?? [], profile.archMap ?? []];
  if (list.length > 0 && map.length > 0)
    throw new Fault(
      "invalid",
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  if (list.length > 0) return list;
  const native = architectures[architecture]?.[0];
  const own = map.find((each) => each.architecture === native);
  return own === undefined ? undefined : [own.architecture, ...(own.subArchitectures ?? [])];
}

/** A profile calls 32-bit x86 by another name than Go does. */
function tidied(o: v.InferOutput<typeof condition>): RuleCondition {
  return {
    ...(o?.caps && { caps: o.caps }),
    ...(o?.arches && { arches: o.arches.map((name) => (name === "x86" ? "386" : name)) }),
    ...(o?.minKernel && { minKernel: o.minKernel }),
  };
}
