/**
 * A container's first process, brought to just before its first instruction.
 * Owns: the order of what leads there. Promises: what a failure leaves is in the run's directory, for who made that.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupLayout } from "#kernel/cgroups/cgroup.ts";
import { encodeSpec } from "#runtime/bundle/bundle.ts";
import { applyOwnLimits } from "#runtime/bundle/live-limits.ts";
import type { RunRequest } from "#runtime/bundle/run-request.ts";
import { type SpecificationParts, specify } from "#runtime/bundle/specification.ts";
import type { HostConfig } from "#spec/container.ts";
import { startConmon } from "./conmon.ts";
import type { ExitFiles } from "./exit-files.ts";
import { startFailure } from "./failure.ts";
import { runtimeSaid } from "./low-level.ts";
import type { LowLevels } from "./low-levels.ts";
import type { SeccompCache } from "./seccomp-cache.ts";
import { nextUnless } from "./sync-pipe.ts";

export interface ProcessParts {
  readonly lowLevels: LowLevels;
  readonly cgroups: CgroupLayout;
  readonly exits: Pick<ExitFiles, "directory">;
  readonly seccomp: SeccompCache;
  readonly specification: SpecificationParts;
}

export interface MadeProcess {
  readonly pid: number;
  /** The low-level runtime has something to do once it runs. */
  readonly startHooks: boolean;
}

export interface MakeOptions {
  readonly signal: AbortSignal;
  /** What else the process needs before it runs: done while the low-level runtime begins. */
  readonly meanwhile?: (() => Promise<void>) | undefined;
}

/** `directory` is the run's, there and empty. @throws Fault with `detail.exitCode` in Docker's words when it cannot be. */
export async function makeProcess(
  request: RunRequest & { readonly directory: string; readonly sharedMemory: string | undefined },
  parts: ProcessParts,
  { signal, meanwhile = async () => undefined }: MakeOptions,
): Promise<MadeProcess> {
  const { directory } = request;
  const { id, config, host } = request.record;
  const { spec, limits } = await specify(request, parts.specification);
  const { seccomp } = spec.linux;
  const lowLevel = await parts.lowLevels.named(host.Runtime);
  const cached = lowLevel === parts.lowLevels.preferred;
  if (cached) spec.annotations = { ...spec.annotations, ...parts.seccomp.annotations(seccomp) };
  // A way through the thread pool takes longer than one file.
  writeFileSync(join(directory, "config.json"), encodeSpec(spec), { mode: 0o600 });
  // Hooks and settings of the network find the container's interfaces.
  const looksAtNetwork = spec.hooks !== undefined || setsNetwork(host);
  if (looksAtNetwork) await meanwhile();
  const beginning = startConmon(lowLevel, {
    ...{ containerId: id, uuid: id, directory },
    exitDirectory: parts.exits.directory,
    logPath: request.files.log,
    tty: config.Tty === true,
    stdin: config.OpenStdin === true,
    leaveStdinOpen: config.OpenStdin === true && config.StdinOnce !== true,
  });
  // conmon is a process already: this takes no time of its own.
  const [begun, other] = await Promise.allSettled([beginning, looksAtNetwork ? undefined : meanwhile()]);
  if (begun.status === "rejected") throw begun.reason;
  using conmon = begun.value;
  if (other.status === "rejected") throw other.reason;
  const said = await nextUnless(signal, conmon.sync);
  if (said === undefined || said.data <= 0)
    throw startFailure(
      "container",
      (await runtimeSaid(directory)) || (said?.message ?? ""),
      spec.process.args[0] ?? "",
    );
  if (cached) await parts.seccomp.learn(seccomp, id);
  await applyOwnLimits(parts.cgroups, spec.linux.cgroupsPath.slice(1), limits);
  return { pid: said.data, startHooks: spec.hooks?.poststart !== undefined };
}

function setsNetwork({ Sysctls }: HostConfig): boolean {
  return Object.keys(Sysctls ?? {}).some((name) => name.startsWith("net."));
}
