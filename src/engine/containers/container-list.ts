/** Pure. Which containers `ps` shows (Engine API `ContainerList`: its filters and their meanings). */
import type { ContainerRecord, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import {
  booleanFilter,
  type Filters,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  matchesPrefix,
} from "#spec/filters.ts";
import type { PublishedPort } from "#spec/network.ts";

export interface ListOptions {
  /** False: only running ones, unless a filter says something about the state. */
  readonly all: boolean;
  /** The newest so many, whatever their state. */
  readonly limit?: number | undefined;
  readonly filters: Filters;
}

export interface ListLookups {
  /** @throws Fault `not-found`. */
  readonly container: (reference: string) => ContainerRecord;
  /** Ids of an image and of all it descends from; empty when the reference leads nowhere. */
  readonly lineage: (reference: string) => readonly string[];
  /** Of the image a container was made of: it and all it descends from. */
  readonly imageLineage: (record: ContainerRecord) => readonly string[];
  readonly networks: (record: ContainerRecord) => readonly { readonly id: string; readonly name: string }[];
  readonly ports: (record: ContainerRecord) => readonly PublishedPort[];
}

const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const healths = ["none", "starting", "healthy", "unhealthy"];

/**
 * `records` newest first.
 * @throws Fault `invalid` for a filter's value that cannot be, `not-found` for a container it names.
 */
export function listContainers(
  records: readonly ContainerRecord[],
  o: ListOptions,
  look: ListLookups,
): ContainerRecord[] {
  const { filters } = o;
  for (const status of filters["status"] ?? [])
    if (!statuses.includes(status))
      throw new Fault("invalid", `invalid filter 'status=${status}': want one of ${statuses.join(", ")}`);
  for (const health of filters["health"] ?? [])
    if (!healths.includes(health))
      throw new Fault("invalid", `unrecognized filter value for health: ${health}`);
  // Containers of a cluster's tasks would be the others.
  if (booleanFilter(filters, "is-task", false)) return [];
  const exits = filters["exited"]?.map(exitCode);
  const before = filters["before"]?.map((each) => look.container(each).created);
  const since = filters["since"]?.map((each) => look.container(each).created);
  const ancestors = filters["ancestor"]?.flatMap((each) => look.lineage(each).slice(0, 1));
  const everyState = o.all || (o.limit ?? 0) > 0 || filters["status"] !== undefined || exits !== undefined;
  const shown = records.filter(
    (record) =>
      record.purpose === undefined &&
      (everyState || isUp(record)) &&
      matchesExactly(filters, "status", record.observed.status) &&
      (exits === undefined || (hasEnded(record) && exits.includes(record.observed.exitCode))) &&
      matchesPrefix(filters, "id", record.id) &&
      matchesName(filters, record) &&
      matchesLabels(filters["label"], record.config.Labels ?? {}) &&
      (before?.every((created) => record.created < created) ?? true) &&
      (since?.every((created) => record.created > created) ?? true) &&
      (ancestors === undefined || look.imageLineage(record).some((id) => ancestors.includes(id))) &&
      matchesVolume(filters["volume"], record.mounts) &&
      // What nobody asks about is not looked up.
      (filters["network"] === undefined || matchesNetwork(filters["network"], look.networks(record))) &&
      (filters["publish"] === undefined ||
        matchesPort(filters["publish"], publishedPorts(look.ports(record)))) &&
      (filters["expose"] === undefined ||
        matchesPort(filters["expose"], Object.keys(record.config.ExposedPorts ?? {}))) &&
      matchesExactly(filters, "health", record.observed.health?.status ?? "none"),
  );
  return o.limit !== undefined && o.limit > 0 ? shown.slice(0, o.limit) : shown;
}

function isUp(record: ContainerRecord): boolean {
  return ["running", "paused", "restarting"].includes(record.observed.status);
}

function hasEnded(record: ContainerRecord): boolean {
  return record.run > 0 && !isUp(record);
}

function exitCode(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new Fault("invalid", `invalid filter 'exited=${text}': want a number`);
  return Number(text);
}

function matchesName(filters: Filters, record: ContainerRecord): boolean {
  return matchesPattern(filters, "name", record.name) || matchesPattern(filters, "name", `/${record.name}`);
}

function matchesVolume(wanted: readonly string[] | undefined, mounts: readonly MountPoint[]): boolean {
  return (
    wanted === undefined ||
    mounts.some((mount) => wanted.includes(mount.destination) || wanted.includes(mount.name ?? mount.source))
  );
}

function matchesNetwork(
  wanted: readonly string[] | undefined,
  networks: readonly { readonly id: string; readonly name: string }[],
): boolean {
  return (
    wanted === undefined ||
    networks.some(({ id, name }) =>
      wanted.some((each) => each === name || (each !== "" && id.startsWith(each))),
    )
  );
}

function publishedPorts(ports: readonly PublishedPort[]): string[] {
  return ports.map(({ hostPort, protocol }) => `${hostPort}/${protocol}`);
}

const portRange = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/;

/** `80`, `80/udp`, `80-90/tcp`; tcp when nothing is said. */
function matchesPort(wanted: readonly string[] | undefined, ports: readonly string[]): boolean {
  if (wanted === undefined) return true;
  return wanted.some((text) => {
    const match = portRange.exec(text);
    if (match === null) throw new Fault("invalid", `invalid filter port ${JSON.stringify(text)}`);
    const [, low = "", high = low, protocol = "tcp"] = match;
    return ports.some((port) => {
      const [number = "", kind = "tcp"] = port.split("/");
      return kind === protocol && Number(number) >= Number(low) && Number(number) <= Number(high);
    });
  });
}
