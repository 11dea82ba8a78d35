/** Interfaces that live on another one of the host: macvlan, ipvlan, 802.1q; and pairs to stand in for one. rtnetlink(7). */
import { Errno } from "./libc.ts";
import { findLink, setUp } from "./links.ts";
import { flag, type Netlink } from "./netlink.ts";
import { type Attribute, text, u32 } from "./netlink-message.ts";

const newLink = 16;
const attribute = { address: 1, name: 3, mtu: 4, parent: 5, linkInfo: 18, netnsDescriptor: 28 } as const;
const info = { kind: 1, data: 2 } as const;
const isUp = 1;

export type ChildKind =
  | { readonly kind: "macvlan"; readonly mode: "private" | "vepa" | "bridge" | "passthru" }
  | {
      readonly kind: "ipvlan";
      readonly mode: "l2" | "l3" | "l3s";
      readonly flag: "bridge" | "private" | "vepa";
    };

const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
const ipvlanFlags = { bridge: 0, private: 1, vepa: 2 } as const;

export interface ChildRequest {
  readonly name: string;
  /** Index of the interface it lives on. */
  readonly parent: number;
  /** Descriptor of the namespace it appears in. */
  readonly netns: number;
  /** Kinds that share their parent's have none of their own. */
  readonly mac?: Uint8Array | undefined;
  readonly mtu?: number | undefined;
}

/** Down. @throws Errno `EBUSY` or `EINVAL` when the parent has children that do not go with it. */
export function addChild(netlink: Netlink, o: ChildRequest, kind: ChildKind): void {
  make(
    netlink,
    kind.kind,
    [
      [attribute.name, text(o.name)],
      [attribute.parent, u32(o.parent)],
      [attribute.netnsDescriptor, u32(o.netns)],
      ...(o.mac === undefined ? [] : ([[attribute.address, o.mac]] as const)),
      ...(o.mtu === undefined ? [] : ([[attribute.mtu, u32(o.mtu)]] as const)),
    ],
    { data: dataOf(kind), what: `make the ${kind.kind} interface ${o.name}` },
  );
}

function dataOf(kind: ChildKind): Attribute[] {
  return kind.kind === "macvlan"
    ? [[1, u32(macvlanModes[kind.mode])]]
    : [
        [1, u16(ipvlanModes[kind.mode])],
        [2, u16(ipvlanFlags[kind.flag])],
      ];
}

/** Up. `id`: 1 to 4094. */
export function addVlan(
  netlink: Netlink,
  o: { readonly name: string; readonly parent: number; readonly id: number },
): void {
  make(
    netlink,
    "vlan",
    [
      [attribute.name, text(o.name)],
      [attribute.parent, u32(o.parent)],
    ],
    { data: [[1, u16(o.id)]], up: true, what: `make the interface ${o.name}` },
  );
}

/** Two interfaces joined to one another, both up: the first has a carrier and leads nowhere. */
export function addPair(netlink: Netlink, name: string, peer: string): void {
  // An end comes up only when the other is there.
  const body = linkBody(false);
  const bytes = text(peer);
  const nested = Buffer.alloc((4 + bytes.length + 3) & ~3);
  nested.writeUInt16LE(4 + bytes.length, 0);
  nested.writeUInt16LE(attribute.name, 2);
  nested.set(bytes, 4);
  make(netlink, "veth", [[attribute.name, text(name)]], {
    data: [[1, Buffer.concat([body, nested])]],
    up: true,
    what: `make the interface ${name}`,
  });
  setUp(netlink, findLink(netlink, peer)?.index ?? 0);
}

/** Whether the kernel makes interfaces of that kind, which need a parent. Nothing is made. */
export function knowsKind(netlink: Netlink, kind: ChildKind["kind"] | "vlan"): boolean {
  try {
    make(netlink, kind, [[attribute.name, text("wherry-probe")]], { data: [], what: `look for ${kind}` });
  } catch (error) {
    return !(error instanceof Errno && error.code === "EOPNOTSUPP");
  }
  return true;
}

function make(
  netlink: Netlink,
  kind: string,
  attributes: readonly Attribute[],
  o: { readonly data: readonly Attribute[]; readonly up?: boolean; readonly what: string },
): void {
  const linkInfo: Attribute = [
    attribute.linkInfo,
    [[info.kind, text(kind)], ...(o.data.length === 0 ? [] : ([[info.data, o.data]] as const))],
  ];
  netlink.change(
    newLink,
    flag.create | flag.exclusive,
    linkBody(o.up === true),
    [...attributes, linkInfo],
    o.what,
  );
}

/** `struct ifinfomsg`. */
function linkBody(up: boolean): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt32LE(up ? isUp : 0, 8);
  body.writeUInt32LE(up ? isUp : 0, 12);
  return body;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value, 0);
  return bytes;
}
