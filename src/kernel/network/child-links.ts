/** Interfaces that live on another one of the host: macvlan, ipvlan, 802.1q; and pairs to stand in for one. rtnetlink(7). */
import { Errno } from "#kernel/libc.ts";
import { addLink, findLink, link, mtuOf, setUp, vethPeer } from "./links.ts";
import type { Netlink } from "./netlink.ts";
import { type Attribute, text, u16, u32 } from "./netlink-message.ts";

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
  addLink(
    netlink,
    kind.kind,
    [
      [link.name, text(o.name)],
      [link.parent, u32(o.parent)],
      [link.netnsDescriptor, u32(o.netns)],
      ...(o.mac === undefined ? [] : ([[link.address, o.mac]] as const)),
      ...mtuOf(o),
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
  const attributes: Attribute[] = [
    [link.name, text(o.name)],
    [link.parent, u32(o.parent)],
  ];
  addLink(netlink, "vlan", attributes, {
    data: [[1, u16(o.id)]],
    up: true,
    what: `make the interface ${o.name}`,
  });
}

/** Two interfaces joined to one another, both up: the first has a carrier and leads nowhere. */
export function addPair(netlink: Netlink, name: string, peer: string): void {
  addLink(netlink, "veth", [[link.name, text(name)]], {
    data: [vethPeer([[link.name, text(peer)]])],
    up: true,
    what: `make the interface ${name}`,
  });
  // An end comes up only when the other is there.
  setUp(netlink, findLink(netlink, peer)?.index ?? 0);
}

/** Whether the kernel makes interfaces of that kind, which need a parent. Nothing is made. */
export function knowsKind(netlink: Netlink, kind: ChildKind["kind"] | "vlan"): boolean {
  try {
    addLink(netlink, kind, [[link.name, text("wherry-probe")]], { what: `look for ${kind}` });
  } catch (error) {
    return !(error instanceof Errno && error.code === "EOPNOTSUPP");
  }
  return true;
}
