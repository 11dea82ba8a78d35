/** Pure. Containers whose namespaces another one shares: they must run before it can. */
import type { ContainerRecord, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { linksOf } from "./links.ts";

const prefix = "container:";

/** The container that a mode such as `container:db` names; undefined for other modes. */
export function donorOf(mode: string | undefined): string | undefined {
  return mode?.startsWith(prefix) === true ? mode.slice(prefix.length) : undefined;
}

/** References to all that must run before a container can, each once. */
export function donorsOf({ host }: ContainerRecord): string[] {
  const named = [host.NetworkMode, host.PidMode, host.IpcMode].map(donorOf);
  const linked = linksOf({ host }).map(({ reference }) => reference);
  return [...new Set([...named.filter((each) => each !== undefined), ...linked])];
}

/**
 * Donors by id, so that they can be renamed.
 * @throws Fault `invalid` for one of pid or ipc that is not there; the network's may come later, as in dockerd.
 */
export function withDonorIds(host: HostConfig, idOf: (reference: string) => string): HostConfig {
  const named = { NetworkMode: host.NetworkMode, PidMode: host.PidMode, IpcMode: host.IpcMode };
  const pinned: Partial<typeof named> = {};
  for (const [field, mode] of Object.entries(named)) {
    const donor = donorOf(mode);
    if (donor === undefined) continue;
    try {
      Object.assign(pinned, { [field]: `${prefix}${idOf(donor)}` });
    } catch (thrown) {
      const fault = Fault.from(thrown);
      if (fault.kind !== "not-found") throw thrown;
      if (field !== "NetworkMode") throw new Fault("invalid", fault.message, { cause: thrown });
    }
  }
  return { ...host, ...(pinned as HostConfig) };
}
