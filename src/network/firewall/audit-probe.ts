/**
 * What the kernel says to what an audit claims: probes from where it says, to where it says.
 * Promises: nothing leaves this machine, no packet goes where a route does not keep it here; what is sent is a connection closed as
 * soon as it is made, or a datagram that says what it is; bounded in time and number.
 */
import { randomBytes } from "node:crypto";
import { type NextHop, routeTo } from "#kernel/network/addresses.ts";
import { findLink } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import { contains, type Family, familyOf, parseSubnet } from "#spec/ip.ts";
import {
  type AuditRow,
  addressesOf,
  evidenceOf,
  gatewayIn,
  type NetworkRecord,
  type ProbeResult,
} from "#spec/network.ts";
import type { Aim, Claim } from "./audit.ts";
import type { Outside } from "./outside.ts";
import { answersDatagram, connects, type ProbeTarget } from "./probes.ts";
import { Witnesses } from "./witnesses.ts";

/** Probes at once. */
const atOnce = 32;

export interface ProbeInput {
  readonly networks: readonly NetworkRecord[];
  readonly sandboxes: readonly SandboxRecord[];
  /** Or why there is none. */
  readonly outside: Outside | string;
  readonly signal: AbortSignal;
}

type Plan =
  /** `sources`: what its packets come from; none where that is not known. */
  (ProbeTarget & { readonly sources: readonly string[] }) | { readonly untried: string };

/** Every row with what a probe met, where one can be sent: from outside, from the host, or from a container that runs. */
export async function probeClaims(claims: readonly Claim[], o: ProbeInput): Promise<AuditRow[]> {
  await using witnesses = new Witnesses(o.sandboxes);
  using netlink = new Netlink();
  const near = nearness(netlink, o.networks);
  const probed = claims.map(({ row }): AuditRow => ({ ...row, probe: "not tried" }));
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < claims.length; index = next++) {
      o.signal.throwIfAborted();
      const claim = claims[index];
      if (claim !== undefined) probed[index] = await probedRow(claim, { ...o, near, witnesses });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return probed;
}

async function probedRow(
  { aim, row }: Claim,
  o: ProbeInput & { readonly near: Near; readonly witnesses: Witnesses },
): Promise<AuditRow> {
  const plan = aim === undefined ? { untried: "there is nothing to send to" } : plannedFor(aim, o);
  if (aim === undefined || "untried" in plan)
    return { ...row, probe: "not tried", ...("untried" in plan && { untried: plan.untried }) };
  const { leadsTo, protocol } = aim;
  const send =
    protocol === "udp" ? async () => await sendDatagram(plan, leadsTo, o) : async () => await connects(plan);
  const probe = await send();
  if (evidenceOf({ ...row, probe }) !== "contradicted") return { ...row, probe };
  // What speaks against the rules is looked at twice: this machine may have been too busy to answer.
  const witness = leadsTo && o.witnesses.of(leadsTo);
  witness?.forgetAttempts();
  const again = await send();
  const { sources } = plan;
  const isKnown = protocol === "tcp" && leadsTo !== undefined && sources.length > 0;
  const reached = !isKnown || witness?.sawAttempt(leadsTo.port, sources) === true;
  // By a rule of the host's, or by the container: only the one that was reached may say so.
  return { ...row, probe: again === "refused" && !reached ? "rejected" : again };
}

async function sendDatagram(
  target: ProbeTarget,
  leadsTo: Aim["leadsTo"],
  { witnesses }: { readonly witnesses: Witnesses },
): Promise<ProbeResult> {
  const token = randomBytes(8).toString("hex");
  const witness = leadsTo && witnesses.of(leadsTo);
  return await answersDatagram(target, token, () => witness?.sawDatagram(token) ?? false);
}

function plannedFor(aim: Aim, o: ProbeInput & { readonly near: Near }): Plan {
  const { family, port, source } = aim;
  if (source.network !== undefined) return fromContainer(aim, source.network, o);
  const place =
    source.name === "host"
      ? { netnsPath: undefined, host: { 4: "127.0.0.1", 6: "::1" }, addresses: [] }
      : o.outside;
  if (typeof place === "string") return { untried: place };
  const address = aim.address || place.host[family];
  if (address === undefined) return { untried: `this host has no IPv${family}` };
  if (source.name !== "host" && isOwnLoopback(address)) return { untried: ownLoopback };
  if (!o.near(address)) return { untried: leaves };
  return { netnsPath: place.netnsPath, address, port, sources: place.addresses };
}

const ownLoopback = "a loopback is its own host's";
const leaves = "it would leave this machine";

function fromContainer(
  { address, family, leadsTo, port }: Aim,
  network: NetworkRecord,
  o: ProbeInput & { readonly near: Near },
): Plan {
  if (!staysHere(network)) return { untried: leaves };
  const asker = o.sandboxes.find(
    ({ containerId, endpoints, netnsPath }) =>
      netnsPath !== undefined &&
      containerId !== leadsTo?.containerId &&
      // One that is on the target's network too would say nothing of this one.
      endpoints.length === 1 &&
      endpoints[0]?.networkId === network.id,
  );
  if (asker === undefined) return { untried: "no other container runs there to ask from" };
  const gateway = network.pools.find(({ subnet }) => familyOf(subnet) === family)?.gateway ?? "";
  const target = address || gateway;
  if (target === "") return { untried: `the network has no gateway of IPv${family}` };
  if (isOwnLoopback(target)) return { untried: ownLoopback };
  const isNeighbour = network.pools.some(({ subnet }) => contains(parseSubnet(subnet), target));
  if (!isNeighbour && !o.near(target)) return { untried: leaves };
  const sources = asker.endpoints.flatMap(addressesOf);
  if (isNeighbour || leadsOut(asker, family))
    return { netnsPath: asker.netnsPath, address: target, port, sources };
  return { untried: "that container has no way out of its network" };
}

function isOwnLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

function leadsOut({ endpoints }: SandboxRecord, family: Family): boolean {
  return endpoints.some((each) => gatewayIn(each, family) !== "");
}

/** A bridge that was there before the network may have the uplink for a port; what macvlan sends goes through its parent. */
function staysHere({ device, driver, ownsDevice }: NetworkRecord): boolean {
  return ownsDevice && (driver === "bridge" || device.startsWith("dm-"));
}

/** Whether packets for an address stay on this machine. */
type Near = (address: string) => boolean;

function nearness(netlink: Netlink, networks: readonly NetworkRecord[]): Near {
  const own = new Set(networks.filter(staysHere).map(({ device }) => findLink(netlink, device)?.index ?? 0));
  const known = new Map<string, NextHop | undefined>();
  return (address) => {
    if (!known.has(address)) known.set(address, routeTo(netlink, address));
    const hop = known.get(address);
    return hop !== undefined && (hop.kind === "local" || own.has(hop.index));
  };
}
