/** Whether this machine runs programs made for another architecture: binfmt_misc(5). */
import { existsSync, readFileSync } from "node:fs";
import type { Platform } from "#spec/image.ts";

const registered = "/proc/sys/fs/binfmt_misc";

/** QEMU's names for Go's architectures. */
const emulators: Readonly<Record<string, string>> = {
  "386": "i386",
  amd64: "x86_64",
  arm: "arm",
  arm64: "aarch64",
  loong64: "loongarch64",
  mips64le: "mips64el",
  ppc64le: "ppc64le",
  riscv64: "riscv64",
  s390x: "s390x",
};

/** What a machine runs without help, beside its own. */
const compatible: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

export function runsPrograms(platform: Platform, own: Platform): boolean {
  if (platform.os !== own.os) return false;
  if (platform.architecture === own.architecture) return true;
  if (compatible[own.architecture]?.includes(platform.architecture) === true) return true;
  const name = emulators[platform.architecture];
  if (name === undefined) return false;
  const path = `${registered}/qemu-${name}`;
  return existsSync(path) && readFileSync(path, "latin1").startsWith("enabled");
}
