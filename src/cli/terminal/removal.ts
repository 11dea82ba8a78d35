/** What commands that remove volumes have in common: what would go is shown first, and how it can be had back. */

import type { FlagSpec } from "#cli/flags/flags.ts";
import { humanSize, timeAgo } from "#cli/flags/units.ts";
import type { Client } from "#client/client.ts";
import { anonymousLabel } from "#spec/docker-volume.ts";
import { formatTable } from "./table.ts";

export const nowFlag: FlagSpec = {
  name: "now",
  kind: "switch",
  help: "Remove volumes for good: 'wherry undo' cannot bring them back",
};
export const dryRunFlag: FlagSpec = {
  name: "dry-run",
  kind: "switch",
  help: "Show which volumes would go, and do nothing",
};

export const undoHint =
  "They are in the trash: 'wherry undo' brings them back, 'wherry trash empty' frees the space at once.\n";

export interface LeavingVolume {
  readonly Name: string;
  readonly CreatedAt: string;
  readonly Size: number;
}

export function newRemoval(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
}

/** Oldest first, with a line that adds them up. */
export function leavingText(volumes: readonly LeavingVolume[], nowMs: number): string {
  if (volumes.length === 0) return "No volumes.\n";
  const oldestFirst = [...volumes].sort((a, b) => (a.CreatedAt < b.CreatedAt ? -1 : 1));
  const table = formatTable([
    ["VOLUME NAME", "SIZE", "CREATED"],
    ...oldestFirst.map(({ Name, Size, CreatedAt }) => [
      ...[Name, humanSize(Size), timeAgo(Date.parse(CreatedAt) / 1000, nowMs)],
    ]),
  ]);
  const total = volumes.reduce((sum, { Size }) => sum + Size, 0);
  return `${table}${volumes.length} in all, ${humanSize(total)}.\n`;
}

/** The volumes that `rm -v` of these containers takes with them. */
export async function anonymousVolumesOf(
  client: Client,
  containers: readonly string[],
): Promise<LeavingVolume[]> {
  const names = new Set<string>();
  for (const name of containers) {
    // One that is not there takes nothing along; its removal says so.
    const found = await client.containers.inspect(name).catch(() => undefined);
    for (const { Type, Name } of found?.Mounts ?? [])
      if (Type === "volume" && Name !== undefined) names.add(Name);
  }
  if (names.size === 0) return [];
  const known = (await client.diskUsage(["volume"])).Volumes ?? [];
  return known
    .filter(
      ({ Name, Labels, UsageData }) =>
        names.has(Name) && Labels !== null && anonymousLabel in Labels && (UsageData?.RefCount ?? 0) < 2,
    )
    .map(({ Name, CreatedAt = "", UsageData }) => ({ Name, CreatedAt, Size: UsageData?.Size ?? 0 }));
}
