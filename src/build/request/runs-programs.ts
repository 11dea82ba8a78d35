/** Whether this machine runs programs made for another architecture: binfmt_misc(5). */
import { readdirSync, readFileSync } from "node:fs";
import type { Platform } from "#spec/image.ts";
import { formatPlatform } from "#spec/platform.ts";

const registered = "/proc/sys/fs/binfmt_misc";

/**
 * How ELF files of Go's architectures begin where they say what they are for: class (1: 32 bits, 2: 64), order of bytes
 * (1: little), machine (elf.h, `EM_`).
 */
const files: Readonly<Record<string, readonly [elfClass: number, order: 1 | 2, machine: number]>> = {
  "386": [1, 1, 3],
  amd64: [2, 1, 62],
  arm: [1, 1, 40],
  arm64: [2, 1, 183],
  loong64: [2, 1, 258],
  mips64le: [2, 1, 8],
  ppc64le: [2, 1, 21],
  riscv64: [2, 1, 243],
  s390x: [2, 2, 22],
};

/** What a machine runs without help, beside its own. */
const compatible: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

/**
 * Pure. The architecture that an entry of binfmt_misc lends programs to; undefined for none, and for an interpreter that is
 * looked for inside the container, where there is none (flag `F` absent).
 */
export function emulatedBy(entry: string): string | undefined {
  const magic = /^magic ([0-9a-f]+)$/m.exec(entry)?.[1];
  const open = /^flags: .*F/m.test(entry);
  if (!entry.startsWith("enabled") || !open || magic === undefined || !/^offset 0$/m.test(entry))
    return undefined;
  const bytes = Buffer.from(magic, "hex");
  if (bytes.length < 20 || bytes.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const machine = bytes[5] === 2 ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18);
  return Object.entries(files).find(
    ([, [elfClass, order, wanted]]) => bytes[4] === elfClass && bytes[5] === order && machine === wanted,
  )?.[0];
}

/** Architectures that the machine has an emulator for. */
export function emulated(directory = registered): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  const found = names
    .filter((name) => name !== "register" && name !== "status")
    .flatMap((name) => {
      try {
        return emulatedBy(readFileSync(`${directory}/${name}`, "latin1")) ?? [];
      } catch {
        return [];
      }
    });
  return [...new Set(found)].sort();
}

export function runsPrograms(platform: Platform, own: Platform): boolean {
  if (platform.os !== own.os) return false;
  if (platform.architecture === own.architecture) return true;
  if (compatible[own.architecture]?.includes(platform.architecture) === true) return true;
  return emulated().includes(platform.architecture);
}

/** Why a step of RUN cannot be done, and the way out. */
export function cannotRun(platform: Platform): string {
  return `this machine does not run programs for ${formatPlatform(platform)}: register an emulator with binfmt_misc (Debian: qemu-user-static), or leave RUN out for that platform`;
}
