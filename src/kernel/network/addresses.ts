/** Addresses of interfaces, and routes, of both families, through rtnetlink(7). */

import { Errno } from "#kernel/libc.ts";
import { addressBytes, addressOf, type Family, familyOf, type Subnet } from "#spec/ip.ts";
import { listLinks } from "./links.ts";
import { flag, type Netlink } from "./netlink.ts";
import { decodeAttributes, type NetlinkMessage, u32 } from "./netlink-message.ts";

const message = { newAddress: 20, getAddress: 22, newRoute: 24, deleteRoute: 25, getRoute: 26 } as const;
const attribute = { address: 1, local: 2, broadcast: 4 } as const;
const route = { destination: 1, interface: 4, gateway: 5 } as const;
const number: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
/** `IFA_F_NODAD`: used at once, without asking whether others have it. */
const noDetection = 2;

/** Idempotent. */
export function addAddress(netlink: Netlink, index: number, { address, prefixLength }: Subnet): void {
  const family = familyOf(address);
  const body = Buffer.alloc(8);
  body.writeUInt8(number[family], 0);
  body.writeUInt8(prefixLength, 1);
  body.writeUInt8(family === 6 ? noDetection : 0, 2);
  body.writeUInt32LE(index, 4);
  const bytes = Buffer.from(addressBytes(address));
  netlink.change(
    message.newAddress,
    flag.create | flag.replace,
    body,
    [
      [attribute.address, bytes],
      [attribute.local, bytes],
      ...(family === 4 ? ([[attribute.broadcast, broadcast(bytes, prefixLength)]] as const) : []),
    ],
    `give an interface the address ${address}`,
  );
}

function broadcast(address: Buffer, prefixLength: number): Buffer {
  const bytes = u32(0);
  bytes.writeUInt32BE((address.readUInt32BE(0) | (2 ** (32 - prefixLength) - 1)) >>> 0, 0);
  return bytes;
}

/** `struct rtmsg`. */
const routeBytes = 12;

/** Of the main table. `scope`: 0 for what lies behind a gateway, 253 for what a link reaches itself. */
function routeBody(family: Family, scope = 0): Buffer {
  const [mainTable, bootProtocol, unicast] = [254, 3, 1];
  return Buffer.from([number[family], 0, 0, 0, mainTable, bootProtocol, scope, unicast, 0, 0, 0, 0]);
}

const linkScope = 253;

/** Through an address, or out of an interface where anything there is reached so. */
export type WayOut = { readonly gateway: string } | { readonly index: number };

/** In place of the one there is. */
export function setDefaultRoute(netlink: Netlink, family: Family, way: WayOut): void {
  const throughGateway = "gateway" in way;
  netlink.change(
    message.newRoute,
    flag.create | flag.replace,
    routeBody(family, throughGateway ? 0 : linkScope),
    [throughGateway ? [route.gateway, addressBytes(way.gateway)] : [route.interface, u32(way.index)]],
    `set the route through ${throughGateway ? way.gateway : "an interface"}`,
  );
}

/** Idempotent. */
export function removeDefaultRoute(netlink: Netlink, family: Family): void {
  const nowhere = 255;
  try {
    netlink.change(message.deleteRoute, 0, routeBody(family, nowhere), [], "remove the default route");
  } catch (error) {
    if (!(error instanceof Errno && error.code === "ESRCH")) throw error;
  }
}

/** Where packets to an address go: to this host itself, or out by an interface. */
export type NextHop = { readonly kind: "local" } | { readonly kind: "link"; readonly index: number };

/** As the kernel decides now, for what this namespace sends. Undefined where nothing leads there. */
export function routeTo(netlink: Netlink, address: string): NextHop | undefined {
  const family = familyOf(address);
  const body = Buffer.alloc(routeBytes);
  body.writeUInt8(number[family], 0);
  body.writeUInt8(8 * addressBytes(address).length, 1);
  let answers: NetlinkMessage[];
  try {
    const asked = [[route.destination, Buffer.from(addressBytes(address))]] as const;
    answers = netlink.ask(message.getRoute, body, asked, `look for the way to ${address}`);
  } catch (error) {
    if (error instanceof Errno) return undefined;
    throw error;
  }
  const payload = answers[0]?.payload;
  if (payload === undefined) return undefined;
  const [unicast, local] = [1, 2];
  const type = payload.readUInt8(7);
  const index = decodeAttributes(payload, routeBytes).get(route.interface)?.readInt32LE(0);
  if (type === local) return { kind: "local" };
  return type === unicast && index !== undefined ? { kind: "link", index } : undefined;
}

export interface UsedSubnet extends Subnet {
  /** Name of the interface that leads there; empty when the kernel names none. */
  readonly interfaceName: string;
}

/**
 * Every subnet some route or address of this namespace speaks of, but default routes, and of IPv6 what every interface has:
 * link-local addresses and multicast.
 */
export function usedSubnets(netlink: Netlink): UsedSubnet[] {
  const rest = (bytes: number): Buffer => Buffer.alloc(bytes);
  const routes = netlink.list(message.getRoute, rest(routeBytes), "list the routes").map(decodeRoute);
  const addresses = netlink.list(message.getAddress, rest(8), "list the addresses").map(({ payload }) => ({
    address: decodeAttributes(payload, 8).get(attribute.address),
    prefixLength: payload.readUInt8(1),
    index: payload.readInt32LE(4),
  }));
  const names = new Map(listLinks(netlink).map(({ index, name }) => [index, name]));
  return [...routes, ...addresses].flatMap((each) => {
    const subnet = onePlace(each);
    return subnet === undefined ? [] : [{ ...subnet, interfaceName: names.get(each.index ?? 0) ?? "" }];
  });
}

interface Place {
  readonly address: Buffer | undefined;
  readonly prefixLength: number;
  /** Of the interface. */
  readonly index: number | undefined;
}

function decodeRoute({ payload }: NetlinkMessage): Place {
  const attributes = decodeAttributes(payload, routeBytes);
  return {
    address: attributes.get(route.destination),
    prefixLength: payload.readUInt8(1),
    index: attributes.get(route.interface)?.readInt32LE(0),
  };
}

/** Subnets that these messages tell of new routes to, but what `usedSubnets` leaves out. */
export function newRoutes(messages: readonly NetlinkMessage[]): Subnet[] {
  return messages
    .filter(({ type }) => type === message.newRoute)
    .map((each) => onePlace(decodeRoute(each)))
    .filter((each) => each !== undefined);
}

function onePlace({ address, prefixLength }: Place): Subnet | undefined {
  return address === undefined || prefixLength === 0 || !isOnePlace(address)
    ? undefined
    : { address: addressOf(address), prefixLength };
}

/** Other families' routes are listed too. */
function isOnePlace(address: Buffer): boolean {
  const [first = 0, second = 0] = address;
  const linkLocal = first === 0xfe && (second & 0xc0) === 0x80;
  return address.length === 4 || (address.length === 16 && first !== 0xff && !linkLocal);
}
