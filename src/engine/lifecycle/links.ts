/**
 * Links of old (`--link`): a container of the default bridge has others' addresses in its hosts file and variables.
 * Pure. Owns: their forms and texts, as dockerd writes them. Never: user-defined networks, where links are aliases.
 */
import type { ContainerRecord, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

export interface Link {
  /** In a record the id, in a request what the client calls it. */
  readonly reference: string;
  readonly alias: string;
}

/** One that runs, at its address. */
export interface LinkTarget {
  readonly alias: string;
  readonly record: Pick<ContainerRecord, "id" | "name" | "config">;
  readonly address: string;
}

/** `NAME:ALIAS`, `NAME`. @throws Fault `invalid` in dockerd's words. */
export function parseLink(text: string): Link {
  if (text === "") throw new Fault("invalid", "empty string specified for links");
  const [reference = "", alias = reference, more] = text.split(":");
  if (more !== undefined) throw new Fault("invalid", `bad format for links: ${text}`);
  // As inspect shows them: `/db:/web/alias`.
  const plain = reference.replace(/^\//, "");
  return { reference: plain, alias: alias.replace(/^\//, "").split("/").at(-1) ?? plain };
}

function onDefaultBridge({ NetworkMode: mode = "" }: HostConfig): boolean {
  return mode === "" || mode === "default" || mode === "bridge";
}

/** None for containers that are not on the default bridge. */
export function linksOf({ host }: Pick<ContainerRecord, "host">): Link[] {
  return onDefaultBridge(host) ? (host.Links ?? []).map(parseLink) : [];
}

/** With the ids of what it is linked to, so that they can be renamed. @throws Fault `invalid` for one that is not there. */
export function withLinkIds(host: HostConfig, find: (reference: string) => ContainerRecord): HostConfig {
  if (!onDefaultBridge(host) || (host.Links ?? []).length === 0) return host;
  const links = linksOf({ host }).map(({ reference, alias }) => {
    const { id, host: other } = found(reference, find);
    if (other.NetworkMode === "host")
      throw new Fault(
        "invalid",
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    return `${id}:${alias}`;
  });
  return { ...host, Links: [...new Set(links)] };
}

function found(reference: string, find: (reference: string) => ContainerRecord): ContainerRecord {
  try {
    return find(reference);
  } catch (thrown) {
    const { message } = Fault.from(thrown);
    throw new Fault("invalid", `could not get container for ${reference}: ${message}`, { cause: thrown });
  }
}

/** As inspect shows them, by the names of now. */
export function shownLinks(
  record: ContainerRecord,
  nameOf: (id: string) => string | undefined,
): readonly string[] | null {
  if (!onDefaultBridge(record.host)) return record.host.Links ?? null;
  const links = linksOf(record);
  if (links.length === 0) return null;
  return links.map(({ reference, alias }) => `/${nameOf(reference) ?? reference}:/${record.name}/${alias}`);
}

/** The record as its processes and its hosts file are to see it. */
export function withTargets(record: ContainerRecord, targets: readonly LinkTarget[]): ContainerRecord {
  if (targets.length === 0) return record;
  const given = record.config.Env ?? [];
  const named = new Set(given.map((line) => line.split("=", 1)[0]));
  const own = targets
    .flatMap((target) => linkVariables(record.name, target))
    .filter((line) => !named.has(line.split("=", 1)[0]));
  return {
    ...record,
    config: { ...record.config, Env: [...own, ...given] },
    host: { ...record.host, ExtraHosts: [...(record.host.ExtraHosts ?? []), ...targets.map(hostEntry)] },
  };
}

/** The names of a line in a hosts file, and the address. */
function hostEntry(target: LinkTarget): string {
  return `${linkNames(target)}:${target.address}`;
}

/** `db 0123456789ab container-name`, each once. */
export function linkNames({ alias, record }: Pick<LinkTarget, "alias" | "record">): string {
  return [...new Set([alias, record.config.Hostname || record.id.slice(0, 12), record.name])].join(" ");
}

/** Variables of the other that are nobody else's business. */
const privateVariables = new Set(["PATH", "HOME", "HOSTNAME", "TERM"]);

interface Port {
  readonly number: number;
  readonly protocol: string;
}

export function linkVariables(ownName: string, { alias, record, address }: LinkTarget): string[] {
  const prefix = alias.replaceAll("-", "_").toUpperCase();
  const ports = exposedPorts(record.config.ExposedPorts ?? {});
  const url = ({ number, protocol }: Port) => `${protocol}://${address}:${number}`;
  const key = ({ number, protocol }: Port) => `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
  const [first] = ports;
  return [
    `${prefix}_NAME=/${ownName}/${alias}`,
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...ranges(ports).flatMap(([start, end]) => [
      `${key(start)}_START=${url(start)}`,
      `${key(start)}_PORT_START=${start.number}`,
      `${key(start)}_END=${url(end)}`,
      `${key(start)}_PORT_END=${end.number}`,
    ]),
    ...ports.flatMap((port) => [
      `${key(port)}=${url(port)}`,
      `${key(port)}_ADDR=${address}`,
      `${key(port)}_PORT=${port.number}`,
      `${key(port)}_PROTO=${port.protocol}`,
    ]),
    ...(record.config.Env ?? []).flatMap((line) => {
      const name = line.split("=", 1)[0] ?? "";
      const shown = line.includes("=") && !privateVariables.has(name);
      return shown ? [`${prefix}_ENV_${line}`] : [];
    }),
  ];
}

/** By number, ranges taken apart. */
function exposedPorts(exposed: Readonly<Record<string, unknown>>): Port[] {
  return Object.keys(exposed)
    .flatMap((key): Port[] => {
      const [range = "", protocol = "tcp"] = key.split("/");
      const [low = 0, high = low] = range.split("-").map(Number);
      return Array.from({ length: Math.max(0, high - low + 1) }, (_, at) => ({ number: low + at, protocol }));
    })
    .sort((a, b) => a.number - b.number || (a.protocol < b.protocol ? -1 : 1));
}

/** Neighbours of one protocol, two or more. */
function ranges(ports: readonly Port[]): [start: Port, end: Port][] {
  const found: [Port, Port][] = [];
  for (const port of ports) {
    const last = found.find(([, end]) => end.protocol === port.protocol && end.number + 1 === port.number);
    if (last === undefined) found.push([port, port]);
    else last[1] = port;
  }
  return found.filter(([start, end]) => start !== end);
}
