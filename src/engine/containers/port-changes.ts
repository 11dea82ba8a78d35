/** Pure. Published ports of a container that exists, more of them or fewer. */
import type { ContainerConfig, ContainerRecord, HostConfig, PortBinding } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

/** By container port, `80/tcp`: ports of the host. */
export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

export interface PortChanges {
  readonly add: PortMap;
  /** What a binding does not say, it does not ask: an empty one means all of the container port. */
  readonly remove: PortMap;
}

/** What is removed first, then what is added. @throws Fault `not-found` for what is not published, `conflict`. */
export function changedPorts(
  { config, host, name }: Pick<ContainerRecord, "config" | "host" | "name">,
  { add, remove }: PortChanges,
): { config: ContainerConfig; host: HostConfig } {
  const bindings: Record<string, PortBinding[]> = {};
  for (const [key, list] of Object.entries(host.PortBindings ?? {}))
    bindings[portKey(key)] = [...(list ?? [])];
  for (const [given, list] of Object.entries(remove)) {
    const key = portKey(given);
    for (const asked of bindingsOf(list)) {
      const before = bindings[key] ?? [];
      const after = before.filter((each) => !isMeant(each, asked));
      if (after.length === before.length) throw missing(name, key, asked, host);
      if (after.length > 0) bindings[key] = after;
      else delete bindings[key];
    }
  }
  for (const [given, list] of Object.entries(add)) {
    const key = portKey(given);
    const before = bindings[key] ?? [];
    const more = bindingsOf(list).filter((asked) => !before.some((each) => isSame(each, asked)));
    bindings[key] = [...before, ...more];
  }
  const added = Object.fromEntries(Object.keys(add).map((key) => [portKey(key), {}]));
  return {
    config: { ...config, ExposedPorts: { ...config.ExposedPorts, ...added } },
    host: { ...host, PortBindings: bindings },
  };
}

function portKey(key: string): string {
  return key.includes("/") ? key : `${key}/tcp`;
}

function bindingsOf(list: readonly PortBinding[] | null): readonly PortBinding[] {
  return list === null || list.length === 0 ? [{}] : list;
}

function isMeant({ HostIp = "", HostPort = "" }: PortBinding, asked: PortBinding): boolean {
  return (asked.HostIp || HostIp) === HostIp && (asked.HostPort || HostPort) === HostPort;
}

function isSame(one: PortBinding, other: PortBinding): boolean {
  return (one.HostIp ?? "") === (other.HostIp ?? "") && (one.HostPort ?? "") === (other.HostPort ?? "");
}

function missing(
  name: string,
  key: string,
  { HostIp = "", HostPort = "" }: PortBinding,
  host: HostConfig,
): Fault {
  const at = HostPort === "" ? "" : ` at ${HostIp === "" ? "" : `${HostIp}:`}${HostPort}`;
  const all = host.PublishAllPorts === true ? ": it publishes all that it exposes, which stays so" : "";
  return new Fault("not-found", `container ${name} does not publish ${key}${at}${all}`);
}
