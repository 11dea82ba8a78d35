/**
 * What a volume of the `local` driver shows in place of its directory. In memory and binds are mounted at once; what may
 * have to ask a device or another machine is left to mount(8), which can be called off.
 */
import { execFile } from "node:child_process";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { getSystemErrorMap, promisify } from "node:util";
import { Errno } from "#kernel/libc.ts";
import { mountFileSystem } from "#kernel/mounts/mount-file-system.ts";
import { parseMountOptions } from "#kernel/mounts/mount-options.ts";
import { Fault } from "#spec/fault.ts";
import { addressOption, type LocalMount, withoutPassword } from "./local-options.ts";

/** How long a device or another machine may take. */
export const mountMillisecondsMax = 30_000;

const bindFlag = 0x1000;
const run = promisify(execFile);

/** @throws Fault in dockerd's words; `timeout` when another machine does not answer. */
export async function mountLocal(mount: LocalMount, target: string, signal: AbortSignal): Promise<void> {
  try {
    const { flags } = parseMountOptions(mount.options);
    if (mount.type === "tmpfs" || (flags & bindFlag) !== 0) mountFileSystem({ ...mount, target });
    else await mountSlow(mount, target, signal);
  } catch (thrown) {
    const { kind, message } = described(thrown);
    const text = `error while mounting volume '${target}': failed to mount local volume: ${message}`;
    throw new Fault(kind, withoutPassword(text), { cause: thrown });
  }
}

async function mountSlow({ type, device, options }: LocalMount, target: string, signal: AbortSignal) {
  const remote = type === "nfs" || type === "nfs4" || type === "cifs";
  const numbered = remote ? await withAddress(options) : options;
  // Without helpers: dockerd has the kernel mount as it is told, too.
  const words = ["-i", "-n", "-t", type, ...(numbered === "" ? [] : ["-o", numbered]), "--", device, target];
  const timeout = AbortSignal.timeout(mountMillisecondsMax);
  try {
    await run("mount", words, { signal: AbortSignal.any([signal, timeout]), killSignal: "SIGKILL" });
  } catch (cause) {
    signal.throwIfAborted();
    if (timeout.aborted)
      throw new Fault(
        "timeout",
        `mount ${device}:${target}: no answer within ${mountMillisecondsMax / 1000} s, look whether ${addressOption(options) ?? device} can be reached`,
        { cause },
      );
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : "";
    throw new Fault("invalid", said || Fault.from(cause).message, { cause });
  }
}

async function withAddress(options: string): Promise<string> {
  const name = addressOption(options);
  if (name === undefined || isIP(name) !== 0) return options;
  try {
    const { address } = await lookup(name);
    return options.replace(`addr=${name}`, `addr=${address}`);
  } catch (cause) {
    const { message } = Fault.from(cause);
    throw new Fault("unavailable", `error resolving passed in network volume address: ${message}`, { cause });
  }
}

function described(thrown: unknown): Pick<Fault, "kind" | "message"> {
  if (!(thrown instanceof Errno)) return Fault.from(thrown);
  const said = getSystemErrorMap().get(-thrown.errno)?.[1] ?? thrown.code;
  return { kind: "invalid", message: thrown.message.replace(new RegExp(`: ${thrown.code}$`), `: ${said}`) };
}
