/** Pure. Kernel parameters a container may set: those of namespaces of its own (namespaces(7)), in runc's words. */
import { Fault } from "#spec/fault.ts";

const ofIpc =
  /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;
const ofUts = /^kernel\.(?:domainname|hostname)$/;

/** `own` says which namespaces are not the host's. @throws Fault `invalid` with `detail.exitCode`. */
export function checkSysctls(
  sysctls: Readonly<Record<string, string>>,
  own: { readonly network: boolean; readonly ipc: boolean; readonly uts: boolean },
): void {
  for (const given of Object.keys(sysctls)) {
    const name = given.replaceAll("/", ".");
    const reason = refusal(name, own);
    if (reason === undefined) continue;
    throw new Fault(
      "invalid",
      `failed to create task for container: failed to create shim task: OCI runtime create failed: ${reason}: unknown`,
      { detail: { exitCode: 128 } },
    );
  }
}

function refusal(
  name: string,
  own: { readonly network: boolean; readonly ipc: boolean; readonly uts: boolean },
): string | undefined {
  const shown = JSON.stringify(name);
  if (name.startsWith("net."))
    return own.network ? undefined : `sysctl ${shown} not allowed in host network namespace`;
  if (ofIpc.test(name))
    return own.ipc ? undefined : `sysctl ${shown} is not allowed in the hosts ipc namespace`;
  if (ofUts.test(name))
    return own.uts ? undefined : `sysctl ${shown} is not allowed in the hosts uts namespace`;
  return `sysctl ${shown} is not in a separate kernel namespace`;
}
