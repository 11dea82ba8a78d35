/** Network interfaces, addresses and routes, through rtnetlink(7). IPv4. */

import { Errno } from "./libc.ts";
import { flag, type Netlink } from "./netlink.ts";
import { decodeAttributes, text, u32, untilNul } from "./netlink-message.ts";

const message = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
} as const;
const link = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  protocolInfo: 12,
  linkInfo: 18,
  netnsDescriptor: 28,
} as const;
const linkInfo = { kind: 1, data: 2 } as const;
/** `IFLA_BRPORT_MODE` and `_ISOLATED`, and the flag of an attribute that holds others. */
const [portHairpin, portIsolated, nested] = [4, 33, 0x8000];
const vethPeer = 1;
const isUp = 1;
const [ipv4, bridgeFamily] = [2, 7];

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Index of the bridge it belongs to. */
  readonly master?: number | undefined;
}

export interface Subnet {
  readonly address: string;
  readonly prefixLength: number;
}

/** `struct ifinfomsg`. */
function linkBody(o: {
  readonly family?: number;
  readonly index?: number;
  readonly flags?: number;
  readonly change?: number;
}): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt8(o.family ?? 0, 0);
  body.writeInt32LE(o.index ?? 0, 4);
  body.writeUInt32LE(o.flags ?? 0, 8);
  body.writeUInt32LE(o.change ?? 0, 12);
  return body;
}

export function listLinks(netlink: Netlink): Link[] {
  return netlink
    .list(message.getLink, linkBody({}), "list the network interfaces")
    .map(({ payload }) => linkOf(payload));
}

function linkOf(payload: Buffer): Link {
  const attributes = decodeAttributes(payload, 16);
  return {
    index: payload.readInt32LE(4),
    name: untilNul(attributes.get(link.name) ?? Buffer.alloc(0)),
    up: (payload.readUInt32LE(8) & isUp) !== 0,
    master: attributes.get(link.master)?.readUInt32LE(0),
  };
}

/** The one of that name, without a look at all others. */
export function findLink(netlink: Netlink, name: string): Link | undefined {
  try {
    const [found] = netlink.ask(
      message.getLink,
      linkBody({}),
      [[link.name, text(name)]],
      `look at the interface ${name}`,
    );
    return found === undefined ? undefined : linkOf(found.payload);
  } catch (error) {
    if (error instanceof Errno && error.code === "ENODEV") return undefined;
    throw error;
  }
}

/** @throws Errno `EEXIST` when the name is taken. */
export function addBridge(netlink: Netlink, name: string, o: { readonly mtu?: number } = {}): void {
  netlink.change(
    message.newLink,
    flag.create | flag.exclusive,
    linkBody({}),
    [
      [link.name, text(name)],
      ...(o.mtu === undefined ? [] : ([[link.mtu, u32(o.mtu)]] as const)),
      [link.linkInfo, [[linkInfo.kind, text("bridge")]]],
    ],
    `make the bridge ${name}`,
  );
}

export interface VethRequest {
  readonly name: string;
  /** Index of the bridge. */
  readonly master: number;
  readonly mtu?: number | undefined;
  /** The other end: in the namespace of this descriptor, under this name, up only when that side says so. */
  readonly peer: { readonly netns: number; readonly name: string; readonly mac: Uint8Array };
}

/** A pair of interfaces, this end up and on the bridge. */
export function addVeth(netlink: Netlink, o: VethRequest): void {
  const mtu = o.mtu === undefined ? [] : ([[link.mtu, u32(o.mtu)]] as const);
  const peer = [
    [link.name, text(o.peer.name)],
    [link.address, o.peer.mac],
    [link.netnsDescriptor, u32(o.peer.netns)],
    ...mtu,
  ] as const;
  // Its own body comes in front of the peer's attributes.
  const nested = Buffer.concat([linkBody({}), encodeNested(peer)]);
  netlink.change(
    message.newLink,
    flag.create | flag.exclusive,
    linkBody({ flags: isUp, change: isUp }),
    [
      [link.name, text(o.name)],
      [link.master, u32(o.master)],
      ...mtu,
      [
        link.linkInfo,
        [
          [linkInfo.kind, text("veth")],
          [linkInfo.data, [[vethPeer, nested]]],
        ],
      ],
    ],
    `make the interface ${o.name}`,
  );
}

function encodeNested(attributes: readonly (readonly [number, Uint8Array])[]): Buffer {
  return Buffer.concat(
    attributes.map(([type, value]) => {
      const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
      bytes.writeUInt16LE(4 + value.length, 0);
      bytes.writeUInt16LE(type, 2);
      bytes.set(value, 4);
      return bytes;
    }),
  );
}

export function setUp(netlink: Netlink, index: number): void {
  netlink.change(
    message.newLink,
    0,
    linkBody({ index, flags: isUp, change: isUp }),
    [],
    "bring an interface up",
  );
}

export function setMac(netlink: Netlink, index: number, mac: Uint8Array): void {
  netlink.change(
    message.newLink,
    0,
    linkBody({ index }),
    [[link.address, mac]],
    "set an interface's address",
  );
}

export interface BridgePort {
  /** What comes in may go out again by the same port. */
  readonly hairpin: boolean;
  /** Nothing passes between it and other isolated ports; the host reaches all. */
  readonly isolated: boolean;
}

export function setBridgePort(netlink: Netlink, index: number, { hairpin, isolated }: BridgePort): void {
  netlink.change(
    message.setLink,
    0,
    linkBody({ family: bridgeFamily, index }),
    [
      [
        link.protocolInfo | nested,
        [
          [portHairpin, Buffer.from([Number(hairpin)])],
          [portIsolated, Buffer.from([Number(isolated)])],
        ],
      ],
    ],
    "set up a port of a bridge",
  );
}

/** False when there is none of that name. Waits for the kernel, some 20 ms. */
export function deleteLink(netlink: Netlink, name: string): boolean {
  try {
    netlink.change(
      message.deleteLink,
      0,
      linkBody({}),
      [[link.name, text(name)]],
      `remove the interface ${name}`,
    );
    return true;
  } catch (error) {
    if (error instanceof Errno && error.code === "ENODEV") return false;
    throw error;
  }
}

/** Idempotent. */
export function addAddress(netlink: Netlink, index: number, { address, prefixLength }: Subnet): void {
  const body = Buffer.alloc(8);
  body.writeUInt8(ipv4, 0);
  body.writeUInt8(prefixLength, 1);
  body.writeUInt32LE(index, 4);
  const bytes = addressBytes(address);
  const broadcast = u32(0);
  broadcast.writeUInt32BE((bytes.readUInt32BE(0) | (2 ** (32 - prefixLength) - 1)) >>> 0, 0);
  netlink.change(
    message.newAddress,
    flag.create | flag.replace,
    body,
    [
      [1, bytes],
      [2, bytes],
      [4, broadcast],
    ],
    `give an interface the address ${address}`,
  );
}

/** `struct rtmsg` of the main table. */
function routeBody(): Buffer {
  const [mainTable, bootProtocol, everywhere, unicast] = [254, 3, 0, 1];
  return Buffer.from([ipv4, 0, 0, 0, mainTable, bootProtocol, everywhere, unicast, 0, 0, 0, 0]);
}

/** In place of the one there is. */
export function setDefaultRoute(netlink: Netlink, gateway: string): void {
  netlink.change(
    message.newRoute,
    flag.create | flag.replace,
    routeBody(),
    [[5, addressBytes(gateway)]],
    `set the route through ${gateway}`,
  );
}

/** Idempotent. */
export function removeDefaultRoute(netlink: Netlink): void {
  try {
    netlink.change(message.deleteRoute, 0, routeBody(), [], "remove the default route");
  } catch (error) {
    if (!(error instanceof Errno && error.code === "ESRCH")) throw error;
  }
}

export interface UsedSubnet extends Subnet {
  /** Name of the interface that leads there; empty when the kernel names none. */
  readonly interfaceName: string;
}

/** Every subnet some route or address of this namespace speaks of, but the default route. */
export function usedSubnets(netlink: Netlink): UsedSubnet[] {
  const rest = (bytes: number): Buffer => Buffer.from([ipv4, ...Array<number>(bytes).fill(0)]);
  const routes = netlink.list(message.getRoute, rest(11), "list the routes").map(({ payload }) => {
    const attributes = decodeAttributes(payload, 12);
    return {
      address: attributes.get(1),
      prefixLength: payload.readUInt8(1),
      index: attributes.get(4)?.readInt32LE(0),
    };
  });
  const addresses = netlink.list(message.getAddress, rest(7), "list the addresses").map(({ payload }) => ({
    address: decodeAttributes(payload, 8).get(1),
    prefixLength: payload.readUInt8(1),
    index: payload.readInt32LE(4),
  }));
  const names = new Map(listLinks(netlink).map(({ index, name }) => [index, name]));
  return [...routes, ...addresses].flatMap(({ address, prefixLength, index }) =>
    address === undefined || prefixLength === 0
      ? []
      : [{ address: [...address].join("."), prefixLength, interfaceName: names.get(index ?? 0) ?? "" }],
  );
}

/** Dotted decimal, in network order. */
export function addressBytes(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}
