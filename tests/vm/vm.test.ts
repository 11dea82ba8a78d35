/**
 * What this machine's kernel does not have is looked at in a virtual machine that has it: see inside.ts.
 * Not part of the suite: emulation takes both cores for a minute and a half.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { securityChecks } from "./checks-security.ts";
import { unifiedChecks } from "./checks-unified.ts";

const checkout = join(import.meta.dir, "../..");
const hasEmulator = Bun.which("qemu-system-x86_64") !== null;
const hasParts = existsSync(join(checkout, "dist/vm/parts/complete"));
/** `npm run test:vm` brings both, on amd64. */
const skipped = !hasEmulator ? " (skipped: no qemu-system-x86_64)" : !hasParts ? " (skipped: no kernel)" : "";

/** From the first instruction to the last check, on two busy cores under emulation. */
const machineMaxMs = 400_000;
const commandLine = "console=ttyS0 quiet panic=-1 cgroup_no_v1=all lsm=landlock,lockdown,yama,apparmor,bpf";
const names = ["the engine starts", ...Object.keys(unifiedChecks), ...Object.keys(securityChecks)];

interface Told {
  readonly name: string;
  readonly ms: number;
  readonly error?: string;
}

describe.skipIf(skipped !== "")(`a machine with cgroup v2 alone, AppArmor and quotas${skipped}`, () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-vm-"));
  const told = new Map<string, Told>();
  let output = "";

  beforeAll(async () => {
    const made = spawnSync(join(import.meta.dir, "make-machine"), [directory], { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`make-machine: ${made.stderr}`);
    const drive = (file: string) => ["-drive", `file=${directory}/${file},format=raw,if=virtio,cache=unsafe`];
    const machine = spawn(
      "qemu-system-x86_64",
      [
        ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"],
        ...["-nodefaults", "-nic", "none", "-display", "none", "-no-reboot", "-serial", "stdio"],
        ...["-kernel", join(directory, "vmlinuz"), "-initrd", join(directory, "initramfs")],
        ...["-append", commandLine, ...drive("disk"), ...drive("second-disk")],
      ],
      { stdio: ["ignore", "pipe", "inherit"], timeout: machineMaxMs, killSignal: "SIGKILL" },
    );
    machine.stdout.on("data", (part: Buffer) => {
      output += part.toString();
    });
    await once(machine, "close");
    for (const [, text = ""] of output.matchAll(/^VM: (\{"name".*\})\r?$/gm)) {
      const each = JSON.parse(text) as Told;
      told.set(each.name, each);
    }
  }, machineMaxMs + 60_000);

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each(names)("%s", (name) => {
    const { error } = told.get(name) ?? { error: `never told of; the machine said: ${output}` };
    expect(error).toBeUndefined();
  });
});
