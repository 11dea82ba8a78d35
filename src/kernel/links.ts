/** Network interfaces, through rtnetlink(7). */

import { Errno } from "./libc.ts";
import { flag, type Netlink } from "./netlink.ts";
import { decodeAttributes, text, u32, untilNul } from "./netlink-message.ts";

const message = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  setLink: 19,
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
const bridgeFamily = 7;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Index of the bridge it belongs to. */
  readonly master?: number | undefined;
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
