/**
 * A container as one entry of `GET /containers/json`.
 * Pure.
 */

import type { ContainerGlance } from "#api/engine-face.ts";
import type { ContainerRecord, Observed } from "#spec/container.ts";
import type { ContainerSummary, EndpointInfo } from "#spec/docker-wire.ts";
import { humanDuration } from "#spec/go-duration.ts";
import { timeToSeconds } from "#spec/unix-time.ts";
import { mountInfo } from "./container-inspect.ts";
import { endpointInfos, portSummaries } from "./container-network.ts";

export function containerSummary(
  detail: ContainerGlance,
  version: number,
  nowMs: number,
  size?: { rw: number; rootFs: number },
): ContainerSummary {
  const { record } = detail;
  const annotations = version >= 46 ? record.host.Annotations : undefined;
  return {
    Id: record.id,
    Names: [`/${record.name}`, ...detail.aliases],
    Image: record.image.reference,
    ImageID: record.image.id,
    Command: commandLine(record),
    Created: timeToSeconds(record.created),
    Ports: portSummaries(detail),
    ...(size !== undefined && { SizeRw: size.rw, SizeRootFs: size.rootFs }),
    Labels: record.config.Labels ?? {},
    State: record.observed.status,
    Status: statusText(record.observed, nowMs),
    HostConfig: {
      NetworkMode: record.host.NetworkMode || "bridge",
      ...(annotations && Object.keys(annotations).length > 0 && { Annotations: annotations }),
    },
    NetworkSettings: { Networks: endpointsInShort(detail, version) },
    Mounts: record.mounts.map(mountInfo),
  };
}

/** As in Docker's lists: addresses, but none of the names. */
function endpointsInShort(detail: ContainerGlance, version: number): Record<string, EndpointInfo> {
  const nameless = { Links: null, Aliases: null, DriverOpts: null, DNSNames: null };
  const infos = Object.entries(endpointInfos(detail, version));
  return Object.fromEntries(infos.map(([network, info]) => [network, { ...info, ...nameless }]));
}

/** Arguments with spaces are quoted, as in `sh -c 'echo hi'`. */
function commandLine({ config }: ContainerRecord): string {
  const [path = "", ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return [path, ...args.map((argument) => (argument.includes(" ") ? `'${argument}'` : argument))].join(" ");
}

function healthText({ health }: Observed): string {
  if (health === undefined) return "";
  return ` (${health.status === "starting" ? "health: starting" : health.status})`;
}

/** `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago`, in dockerd's words. */
export function statusText(observed: Observed, nowMs: number): string {
  const since = (time: string): string => humanDuration(nowMs / 1000 - Date.parse(time) / 1000);
  switch (observed.status) {
    case "running":
      return `Up ${since(observed.startedAt)}${healthText(observed)}`;
    case "paused":
      return `Up ${since(observed.startedAt)} (Paused)`;
    case "restarting":
      return `Restarting (${observed.exitCode}) ${since(observed.finishedAt)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "created":
      return "Created";
    case "exited":
      return `Exited (${observed.exitCode}) ${since(observed.finishedAt)} ago`;
  }
}
