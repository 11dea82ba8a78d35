/** Told by the kernel when the host has a new route, whoever made it (rtnetlink(7)). */

import type { Fault } from "#spec/fault.ts";
import { addressOf, type Subnet } from "#spec/ip.ts";
import { followNetlink } from "./netlink-follower.ts";
import { decodeAttributes, decodeMessages } from "./netlink-message.ts";

const routeProtocol = 0;
/** `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`. */
const groups = 0x40 | 0x400;
const newRoute = 24;
const destination = 1;
const bodyBytes = 12;

export interface RouteWatcher {
  /** To subnets: the default route is none, and neither is what every interface has of IPv6. */
  readonly appeared: (subnets: readonly Subnet[]) => void;
  /** More changed at once than the kernel keeps word of. */
  readonly lost: () => void;
  readonly failed: (fault: Fault) => void;
}

/** In the network namespace of the calling thread, until disposed. */
export function watchRoutes({ appeared, failed, lost }: RouteWatcher): Disposable {
  const received = (bytes: Buffer) => {
    const subnets = newSubnets(bytes);
    if (subnets.length > 0) appeared(subnets);
  };
  return followNetlink({ protocol: routeProtocol, groups, received, lost, failed });
}

function newSubnets(bytes: Buffer): Subnet[] {
  return decodeMessages(bytes).flatMap(({ payload, type }) => {
    const address = type === newRoute ? decodeAttributes(payload, bodyBytes).get(destination) : undefined;
    return address === undefined || isEverywhere(address)
      ? []
      : [{ address: addressOf(address), prefixLength: payload.readUInt8(1) }];
  });
}

/** Link-local and multicast addresses of IPv6. */
function isEverywhere(address: Buffer): boolean {
  const [first = 0, second = 0] = address;
  return address.length === 16 && (first === 0xff || (first === 0xfe && (second & 0xc0) === 0x80));
}
