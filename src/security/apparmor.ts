/**
 * AppArmor, where the kernel has it: the profile that containers are kept to which ask for none.
 * Owns: one profile, by a name of its own. Never: another's profile. (apparmor.d(5), apparmor_parser(8).)
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

export const defaultProfileName = "wherry-default";

/**
 * Everything but what reaches past the container: the kernel's knobs, other programs' memory, mounts. Without includes:
 * the abstractions of a distribution are not everywhere.
 */
export const defaultProfile = `
profile ${defaultProfileName} flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,

  signal (receive) peer=unconfined,
  signal (receive) peer={/usr/,/usr/local/,/}{bin,sbin}/{crun,runc}*,
  signal (receive) peer={crun,runc},
  signal (send,receive) peer=${defaultProfileName},
  ptrace (trace,read,tracedby,readby) peer=${defaultProfileName},

  deny mount,
  deny /proc/* w,
  deny /proc/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/{?,??,[^s][^h][^m]**} w,
  deny /proc/{sysrq-trigger,kcore} rwklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/{firmware,devices/virtual/powercap,kernel/security}/** rwklx,
}
`;

/** Whether this kernel runs with it. */
export function apparmorEnabled(): boolean {
  try {
    return readFileSync("/sys/module/apparmor/parameters/enabled", "latin1").startsWith("Y");
  } catch {
    return false;
  }
}

/** Whether a profile of that name is loaded; where the kernel's list cannot be read, the start will tell. */
export function hasProfile(name: string): boolean {
  try {
    const list = readFileSync("/sys/kernel/security/apparmor/profiles", "latin1");
    return list.split("\n").some((line) => line.startsWith(`${name} (`));
  } catch {
    return true;
  }
}

/** A parser that takes longer hangs. */
const parseMaxMs = 30_000;

/**
 * Loads the profile, in place of an older one. @returns Its name; undefined, after a word in the log, where it cannot be:
 * containers then are kept by all else.
 */
export async function loadDefaultProfile(tell: (line: string) => void): Promise<string | undefined> {
  const parser = Bun.which("apparmor_parser", { PATH: "/usr/sbin:/sbin:/usr/bin:/bin" });
  if (parser === null) {
    tell("containers have no AppArmor profile: apparmor_parser is not there: install Debian's apparmor");
    return undefined;
  }
  const child = spawn(parser, ["--replace", "--skip-cache", "--quiet"], {
    stdio: ["pipe", "ignore", "pipe"],
    signal: AbortSignal.timeout(parseMaxMs),
  });
  let said = "";
  child.stderr.on("data", (part: Buffer) => {
    said += part.toString();
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(defaultProfile);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code === 0) return defaultProfileName;
  } catch (error) {
    said = String(error);
  }
  tell(`containers have no AppArmor profile: apparmor_parser: ${said.trim().split("\n").at(-1) ?? ""}`);
  return undefined;
}
