/**
 * What the kernel says to what an audit claims: connections from where it says, to where it says.
 * Promises: nothing but connections within this host, closed as soon as they are made; bounded in time and number.
 */
import { readFileSync } from "node:fs";
import { inNamespace } from "#kernel/network/netns.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import { contains, familyOf, parseSubnet } from "#spec/ip.ts";
import { type AuditRow, gatewayIn, type NetworkRecord } from "#spec/network.ts";

/** Connections at once, and how long each may take. */
const [atOnce, patienceMs] = [32, 500];

export interface ProbeInput {
  readonly networks: readonly NetworkRecord[];
  readonly sandboxes: readonly SandboxRecord[];
  readonly signal: AbortSignal;
}

/** Every row with what a connection met, where one can be made: by TCP, from the host or from a container that runs. */
export async function probeRows(rows: readonly AuditRow[], o: ProbeInput): Promise<AuditRow[]> {
  const probed = [...rows];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < rows.length; index = next++) {
      o.signal.throwIfAborted();
      const row = rows[index];
      if (row !== undefined) probed[index] = { ...row, probe: await probeRow(row, o) };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return probed;
}

async function probeRow(row: AuditRow, o: ProbeInput): Promise<NonNullable<AuditRow["probe"]>> {
  const [, written = "", port = ""] = /^(.*):(\d+)\/tcp$/.exec(row.address) ?? [];
  if (port === "" || row.from === "outside") return "not tried";
  const isAny = ["the host", "0.0.0.0", "[::]"].includes(written);
  const host = written.replace(/^\[(.*)\]$/, "$1");
  if (row.from === "host")
    return await connects(undefined, isAny ? (written === "[::]" ? "::1" : "127.0.0.1") : host, Number(port));
  const network = o.networks.find(({ name }) => `network ${name}` === row.from);
  const asker = o.sandboxes.find(
    ({ containerName, endpoints, netnsPath }) =>
      netnsPath !== undefined &&
      `container ${containerName}` !== row.to &&
      endpoints.some(({ networkId }) => networkId === network?.id) &&
      // One that is on the target's network too would say nothing of this one.
      endpoints.length === 1,
  );
  const gateway = network?.pools.find(({ subnet }) => familyOf(subnet) === familyOf(host))?.gateway ?? "";
  const target = isAny ? gateway : host;
  // The host's loopback is not the asker's.
  if (asker === undefined || target === "" || target.startsWith("127.") || target === "::1")
    return "not tried";
  return hasRoute(asker, target, network)
    ? await connects(asker.netnsPath, target, Number(port))
    : "no answer";
}

/** Without a gateway only its own network is there for it. */
function hasRoute({ endpoints }: SandboxRecord, target: string, network: NetworkRecord | undefined): boolean {
  const leadsOut = endpoints.some((each) => gatewayIn(each, familyOf(target)) !== "");
  return leadsOut || (network?.pools ?? []).some(({ subnet }) => contains(parseSubnet(subnet), target));
}

async function connects(
  netnsPath: string | undefined,
  hostname: string,
  port: number,
): Promise<"open" | "refused" | "no answer"> {
  const { promise, resolve } = Promise.withResolvers<"open" | "refused" | "no answer">();
  const timer = setTimeout(resolve, patienceMs, "no answer");
  let close = (): void => undefined;
  const fail = (error: unknown): void =>
    resolve(
      error instanceof Error && "code" in error && error.code === "ECONNREFUSED" ? "refused" : "no answer",
    );
  const connect = (): void => {
    Bun.connect({
      hostname,
      port,
      socket: {
        open: (socket) => {
          close = () => socket.terminate();
          resolve("open");
        },
        data: () => undefined,
        connectError: (_, error) => fail(error),
        error: (_, error) => fail(error),
      },
    }).catch(fail);
  };
  try {
    if (netnsPath === undefined) connect();
    else inNamespace(netnsPath, connect);
    return await promise;
  } catch {
    // Its container went meanwhile.
    return "no answer";
  } finally {
    clearTimeout(timer);
    close();
  }
}

/** What listens in a network namespace, beyond its loopback: `80/tcp` (proc_pid_net(5)). */
export function listeningPorts(netnsPath: string): string[] {
  try {
    return inNamespace(netnsPath, () => [
      ...portsOf("tcp", "0A"),
      ...portsOf("tcp6", "0A"),
      ...portsOf("udp", "07"),
      ...portsOf("udp6", "07"),
    ]).filter((each, index, all) => all.indexOf(each) === index);
  } catch {
    return [];
  }
}

function portsOf(table: string, state: string): string[] {
  return readFileSync(`/proc/thread-self/net/${table}`, "latin1")
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , is] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      const loopback = address.endsWith("7F") || /^0{24}01000000$/.test(address);
      return is === state && !loopback ? [`${Number.parseInt(port, 16)}/${table.replace("6", "")}`] : [];
    });
}
