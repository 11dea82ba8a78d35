import { describe, expect, test } from "bun:test";
import { allCapabilities, defaultCapabilities } from "./capabilities.ts";
import { confinement, defaultMaskedPaths } from "./confinement.ts";

const machine = {
  architecture: "amd64",
  kernelRelease: "6.1.0-28-amd64",
  lastCapability: 40,
  ownCapabilities: (1n << 41n) - 1n,
  hasApparmor: false,
  hasProfile: (name: string) => name === "mine",
  apparmorProfile: undefined as string | undefined,
};
const plain = { capAdd: [], capDrop: [], privileged: false, securityOpt: [] };
type More = Partial<Parameters<typeof confinement>[0]>;
const of = (more: More = {}, on = machine) => confinement({ ...plain, ...more }, on);

function allowed(o: More = {}, on = machine): Set<string> {
  const rules = of(o, on).seccomp?.syscalls ?? [];
  return new Set(rules.filter(({ action }) => action === "SCMP_ACT_ALLOW").flatMap(({ names }) => names));
}

describe("the default filter", () => {
  test("resolves to 15 rules and 370 names on amd64, as Docker's does", () => {
    const rules = of().seccomp?.syscalls ?? [];
    expect(rules.length).toBe(15);
    expect(allowed().size).toBe(370);
    expect(of().seccomp).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
    expect(of().seccomp?.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
  });

  test("keeps what reaches past the container", () => {
    const denied =
      "mount setns unshare keyctl add_key bpf perf_event_open io_uring_setup userfaultfd kexec_load pivot_root open_by_handle_at reboot";
    for (const name of denied.split(" ")) expect(allowed()).not.toContain(name);
    const clone3 = of().seccomp?.syscalls?.find(({ names }) => names.includes("clone3"));
    expect(clone3).toEqual({ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 });
  });

  test("follows capabilities, machine and kernel", () => {
    expect(allowed({ capAdd: ["SYS_ADMIN"] })).toContain("mount");
    expect(allowed({ capDrop: ["SYS_CHROOT"] })).not.toContain("chroot");
    expect(allowed({}, { ...machine, kernelRelease: "4.7.1" })).not.toContain("ptrace");
    expect(allowed({}, { ...machine, kernelRelease: "4.8.0" })).toContain("ptrace");
    expect(allowed({}, { ...machine, architecture: "arm64" })).toContain("cacheflush");
    expect(allowed({}, { ...machine, architecture: "arm64" })).not.toContain("arch_prctl");
  });

  test("is off when asked, and for privileged containers unless they bring their own", () => {
    expect(of({ securityOpt: ["seccomp=unconfined"] }).seccomp).toBeUndefined();
    expect(of({ privileged: true }).seccomp).toBeUndefined();
    const own = JSON.stringify({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["chmod"], action: "SCMP_ACT_ERRNO", args: [], includes: {}, excludes: {} },
        { name: "reboot", action: "SCMP_ACT_ERRNO", includes: { arches: ["s390x"] } },
      ],
    });
    const seccomp = of({ privileged: true, securityOpt: [`seccomp=${own}`] }).seccomp;
    expect(seccomp?.syscalls?.map(({ names }) => names)).toEqual([["chmod"]]);
  });
});

const capabilityCases: [string, More, number | string[]][] = [
  ["the default", {}, [...defaultCapabilities]],
  ["dropped", { capDrop: ["cap_chown", "MKNOD"] }, 12],
  ["all dropped but one", { capDrop: ["ALL"], capAdd: ["net_admin"] }, ["CAP_NET_ADMIN"]],
  ["all added but one", { capAdd: ["ALL"], capDrop: ["SYS_ADMIN"] }, 40],
  ["privileged", { privileged: true }, 41],
];
for (const [what, o, expected] of capabilityCases)
  test(`capabilities: ${what}`, () => {
    const { capabilities } = of(o);
    if (typeof expected === "number") expect(capabilities.length).toBe(expected);
    else expect(capabilities).toEqual(expected);
  });

test("a kernel's unknown capabilities are not asked for", () => {
  const old = { ...machine, lastCapability: 36 };
  expect(of({ privileged: true }, old).capabilities).toEqual(allCapabilities.slice(0, 37));
});

test("capabilities the engine lacks are not promised to anyone who asks for all", () => {
  const poor = { ...machine, ownCapabilities: machine.ownCapabilities & ~(1n << 24n) };
  expect(of({ privileged: true }, poor).capabilities).toEqual(
    allCapabilities.filter((name) => name !== "CAP_SYS_RESOURCE"),
  );
  expect(of({ capAdd: ["ALL"] }, poor).capabilities).not.toContain("CAP_SYS_RESOURCE");
  expect(of({ capAdd: ["SYS_RESOURCE"] }, poor).capabilities).toContain("CAP_SYS_RESOURCE");
});

test("paths are masked by default, by list, or not at all", () => {
  expect(of().maskedPaths).toEqual(defaultMaskedPaths);
  expect(of({ maskedPaths: ["/x"], readonlyPaths: [] })).toMatchObject({
    maskedPaths: ["/x"],
    readonlyPaths: [],
  });
  expect(of({ securityOpt: ["systempaths=unconfined"] })).toMatchObject({
    maskedPaths: [],
    readonlyPaths: [],
  });
  expect(of({ privileged: true })).toMatchObject({ maskedPaths: [], readonlyPaths: [], privileged: true });
});

test("no-new-privileges takes effect in all its spellings", () => {
  for (const option of ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"])
    expect(of({ securityOpt: [option] }).noNewPrivileges).toBe(true);
  expect(of({ securityOpt: ["no-new-privileges:false"] }).noNewPrivileges).toBe(false);
});

test("a profile's architectures and flags are its own; one that says nothing filters nothing", () => {
  const withProfile = (profile: object) =>
    of({ securityOpt: [`seccomp=${JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", ...profile })}`] })
      .seccomp;
  expect(withProfile({ architectures: ["SCMP_ARCH_X86"] })?.architectures).toEqual(["SCMP_ARCH_X86"]);
  const archMap = [
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X32"] },
  ];
  expect(withProfile({ archMap })?.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]);
  expect(withProfile({ flags: ["SECCOMP_FILTER_FLAG_LOG"] })?.flags).toEqual(["SECCOMP_FILTER_FLAG_LOG"]);
  expect(of({ securityOpt: ["seccomp={}"] }).seccomp).toBeUndefined();
});

test("what is added and dropped by name is added; writable cgroups need no privilege", () => {
  expect(of({ capAdd: ["NET_RAW"], capDrop: ["NET_RAW"] }).capabilities).toContain("CAP_NET_RAW");
  expect(of({ securityOpt: ["writable-cgroups"] })).toMatchObject({
    writableCgroups: true,
    privileged: false,
  });
  expect(of({ securityOpt: ["writable-cgroups=false"] }).writableCgroups).toBe(false);
  expect(of({ privileged: true }).writableCgroups).toBe(true);
});

const refusals: [More, string][] = [
  [{ capAdd: ["FLY"] }, 'invalid CapAdd: unknown capability: "CAP_FLY"'],
  [{ capDrop: [""] }, 'invalid CapDrop: unknown capability: "CAP_"'],
  [{ securityOpt: ["magic"] }, 'invalid --security-opt 1: "magic"'],
  [{ securityOpt: ["magic=1"] }, 'invalid --security-opt 2: "magic=1"'],
  [{ securityOpt: ["no-new-privileges=maybe"] }, "invalid --security-opt"],
  [{ securityOpt: ["apparmor=docker-default"] }, "this kernel has no AppArmor"],
  [{ securityOpt: ["label=user:x"] }, "use label=disable"],
  [{ securityOpt: ["seccomp={"] }, "Decoding seccomp profile failed"],
  [{ securityOpt: ["writable-cgroups=dang"] }, 'invalid --security-opt 2: "writable-cgroups=dang"'],
  [
    { securityOpt: ['seccomp={"defaultAction":"A","syscalls":[{"name":"a","names":["b"],"action":"A"}]}'] },
    "both 'name' and 'names' are specified",
  ],
  [
    { securityOpt: ['seccomp={"defaultAction":"A","architectures":["a"],"archMap":[{"architecture":"a"}]}'] },
    "both 'architectures' and 'archMap' are specified",
  ],
];
for (const [o, message] of refusals)
  test(`${JSON.stringify(o)} is refused: ${message}`, () => {
    expect(() => of(o)).toThrow(message);
  });

test("AppArmor keeps to its default, to what was asked for, or to nothing", () => {
  const armoured = { ...machine, hasApparmor: true, apparmorProfile: "wherry-default" };
  expect(of({}, armoured).apparmorProfile).toBe("wherry-default");
  expect(of({ securityOpt: ["apparmor=mine"] }, armoured).apparmorProfile).toBe("mine");
  expect(of({ securityOpt: ["apparmor=mine"], privileged: true }, armoured).apparmorProfile).toBe("mine");
  expect(of({ securityOpt: ["apparmor=unconfined"] }, armoured).apparmorProfile).toBeUndefined();
  expect(of({ privileged: true }, armoured).apparmorProfile).toBeUndefined();
  expect(() => of({ securityOpt: ["apparmor=else"] }, armoured)).toThrow("else is not loaded");
  // On, but without a parser for the default.
  expect(of({}, { ...armoured, apparmorProfile: undefined }).apparmorProfile).toBeUndefined();
});
