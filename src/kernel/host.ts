/** What machine this is: the facts the engine shows and decides by. Reads, never changes. */
import { readFileSync, statfsSync } from "node:fs";
import { cpus, hostname, machine, release, totalmem } from "node:os";

export interface HostFacts {
  readonly hostname: string;
  /** `6.1.0-28-amd64`. */
  readonly kernelRelease: string;
  /** `x86_64`, `aarch64` … as `uname -m` says. */
  readonly machine: string;
  /** In Go's words, as images have it: `amd64`, `arm64` … */
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** `Debian GNU/Linux 12 (bookworm)`; `Linux` where os-release says nothing. */
  readonly operatingSystem: string;
  /** `12`; empty where there is none. */
  readonly operatingSystemVersion: string;
  readonly isRoot: boolean;
}

const goArchitectures: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  aarch64: "arm64",
  armv7l: "arm",
  armv6l: "arm",
  i686: "386",
  ppc64le: "ppc64le",
  riscv64: "riscv64",
  s390x: "s390x",
};

/** What its files call the system, read once: who upgrades a machine starts its programs anew. */
let osRelease: Readonly<Record<string, string>> | undefined;

/** A fresh look at what may change; cheap enough for every request (some twenty microseconds). */
export function hostFacts(): HostFacts {
  osRelease ??= readOsRelease();
  const { NAME: name = "Linux", PRETTY_NAME: prettyName = name, VERSION_ID: versionId = "" } = osRelease;
  return {
    hostname: hostname(),
    kernelRelease: release(),
    machine: machine(),
    architecture: goArchitectures[machine()] ?? machine(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
    operatingSystem: prettyName,
    operatingSystemVersion: versionId,
    isRoot: process.geteuid?.() === 0,
  };
}

/** What tells this machine from others (machine-id(5)); its name where it has no such id. */
export function machineId(): string {
  try {
    return readFileSync("/etc/machine-id", "latin1").trim() || hostname();
  } catch {
    return hostname();
  }
}

function readOsRelease(): Record<string, string> {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      return parseOsRelease(readFileSync(path, "utf8"));
    } catch {
      // The next place; a machine without either is still a machine.
    }
  }
  return {};
}

/** `KEY=value` lines with shell quotes, os-release(5). */
export function parseOsRelease(text: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim());
    const [, key, value = ""] = match ?? [];
    if (key === undefined) continue;
    const quoted = /^(["'])(.*)\1$/.exec(value);
    fields[key] =
      quoted?.[1] === "'" ? (quoted[2] ?? "") : (quoted?.[2] ?? value).replace(/\\(["$`\\])/g, "$1");
  }
  return fields;
}

const fileSystems: Readonly<Record<number, string>> = {
  61267: "extfs",
  1481003842: "xfs",
  2435016766: "btrfs",
  16914836: "tmpfs",
  2035054128: "overlayfs",
  801189825: "zfs",
  4076150800: "f2fs",
  1702057286: "fuse",
  26985: "nfs",
};

/** The file system `path` is on, in Docker's words for its `Backing Filesystem`; `unknown` for rare ones. */
export function fileSystemOf(path: string): string {
  return fileSystems[statfsSync(path).type] ?? "unknown";
}

/** Whether the running kernel is Linux `major.minor` or newer. */
export function kernelAtLeast(major: number, minor: number): boolean {
  const [first = 0, second = 0] = release()
    .split(/[^0-9]+/)
    .map(Number);
  return first > major || (first === major && second >= minor);
}
