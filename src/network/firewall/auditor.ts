/** An audit, from what there is now: the claims, and when asked for, what probes meet. */

import type { Namespaces } from "#network/links/namespaces.ts";
import type { UsedBy } from "#network/records/ipam.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import { Fault } from "#spec/fault.ts";
import type { AuditRow, NetworkRecord } from "#spec/network.ts";
import { auditClaims, type HostFacts } from "./audit.ts";
import { probeClaims } from "./audit-probe.ts";
import { listeningPorts } from "./listening-ports.ts";
import { makeOutside } from "./outside.ts";

export interface AuditParts {
  readonly networks: readonly NetworkRecord[];
  readonly sandboxes: readonly SandboxRecord[];
  readonly host: HostFacts;
  readonly namespaces: Pick<Namespaces, "lend">;
  /** What networks and routes of the host have. */
  readonly used: () => readonly UsedBy[];
}

export interface Audit {
  readonly firewall: string;
  readonly rows: readonly AuditRow[];
}

export async function audit(
  { host, namespaces, networks, sandboxes, used }: AuditParts,
  o: { readonly probe: boolean; readonly signal: AbortSignal },
): Promise<Audit> {
  const ports = new Map(
    sandboxes.map(({ containerId, netnsPath }) => [containerId, netnsPath ? listeningPorts(netnsPath) : []]),
  );
  const listening = (containerId: string) => ports.get(containerId) ?? [];
  const claims = auditClaims({ networks, sandboxes, listening, host });
  if (!o.probe) return { firewall: host.mode, rows: claims.map(({ row }) => row) };
  using stack = new DisposableStack();
  const outside = await makeOutside(namespaces, used(), o.signal).then(
    (made) => stack.use(made),
    (thrown: unknown) => `no place outside could be made: ${Fault.from(thrown).message}`,
  );
  const rows = await probeClaims(claims, { networks, sandboxes, outside, signal: o.signal });
  return { firewall: host.mode, rows };
}
