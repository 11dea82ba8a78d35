/** Network interfaces, through rtnetlink(7). */

import { Errno } from "#kernel/libc.ts";
import { flag, type Netlink } from "./netlink.ts";
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  text,
  u32,
  untilNul,
} from "./netlink-message.ts";

const message = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  setLink: 19,
} as const;
/** `IFLA_…` */
export const link = {
  address: 1,
  name: 3,
  mtu: 4,
  parent: 5,
  master: 10,
  protocolInfo: 12,
  operationalState: 16,
  linkInfo: 18,
  netnsDescriptor: 28,
} as const;
const linkInfo = { kind: 1, data: 2, vethPeer: 1 } as const;
/** `IFLA_BRPORT_MODE` and `_ISOLATED`, and the flag of an attribute that holds others. */
const [portHairpin, portIsolated, nested] = [4, 33, 0x8000];
const isUp = 1;
/** `IF_OPER_UP`. */
const stateUp = 6;
const bridgeFamily = 7;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Packets pass: both ends are up, and the kernel has seen that they are. */
  readonly running: boolean;
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
    running: attributes.get(link.operationalState)?.[0] === stateUp,
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
  addLink(netlink, "bridge", [[link.name, text(name)], ...mtuOf(o)], { what: `make the bridge ${name}` });
}

/** @throws Errno `EEXIST` when the name is taken. */
export function addLink(
  netlink: Netlink,
  kind: string,
  attributes: readonly Attribute[],
  o: {
    /** What only links of that kind have. */
    readonly data?: readonly Attribute[];
    readonly up?: boolean;
    readonly what: string;
  },
): void {
  const { data = [], up = false, what } = o;
  const info: Attribute[] = [[linkInfo.kind, text(kind)]];
  if (data.length > 0) info.push([linkInfo.data, data]);
  const flags = up ? isUp : 0;
  netlink.change(
    message.newLink,
    flag.create | flag.exclusive,
    linkBody({ flags, change: flags }),
    [...attributes, [link.linkInfo, info]],
    what,
  );
}

export function mtuOf({ mtu }: { readonly mtu?: number | undefined }): Attribute[] {
  return mtu === undefined ? [] : [[link.mtu, u32(mtu)]];
}

/** The other end of a pair: its own body comes in front of its attributes. */
export function vethPeer(attributes: readonly Attribute[]): Attribute {
  return [linkInfo.vethPeer, Buffer.concat([linkBody({}), encodeAttributes(attributes)])];
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
  const peer = vethPeer([
    [link.name, text(o.peer.name)],
    [link.address, o.peer.mac],
    [link.netnsDescriptor, u32(o.peer.netns)],
    ...mtuOf(o),
  ]);
  addLink(netlink, "veth", [[link.name, text(o.name)], [link.master, u32(o.master)], ...mtuOf(o)], {
    data: [peer],
    up: true,
    what: `make the interface ${o.name}`,
  });
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

/** `mtu` in bytes. */
export function setMtu(netlink: Netlink, index: number, mtu: number): void {
  netlink.change(
    message.newLink,
    0,
    linkBody({ index }),
    mtuOf({ mtu }),
    "set the size of an interface's packets",
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

/** False when the interface is not there any more, or no port of a bridge. */
export function setBridgePort(netlink: Netlink, index: number, { hairpin, isolated }: BridgePort): boolean {
  const settings: [number, Buffer][] = [
    [portHairpin, Buffer.from([Number(hairpin)])],
    [portIsolated, Buffer.from([Number(isolated)])],
  ];
  return unlessGone(() =>
    netlink.change(
      message.setLink,
      0,
      linkBody({ family: bridgeFamily, index }),
      [[link.protocolInfo | nested, settings]],
      "set up a port of a bridge",
    ),
  );
}

/** False when there is none of that name. Waits for the kernel, some 20 ms. */
export function deleteLink(netlink: Netlink, name: string): boolean {
  return unlessGone(() =>
    netlink.change(
      message.deleteLink,
      0,
      linkBody({}),
      [[link.name, text(name)]],
      `remove the interface ${name}`,
    ),
  );
}

function unlessGone(change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if (error instanceof Errno && error.code === "ENODEV") return false;
    throw error;
  }
}
