/** Told by the kernel when the host has a new route, whoever made it (rtnetlink(7)). */

import type { Fault } from "#spec/fault.ts";
import type { Subnet } from "#spec/ip.ts";
import { newRoutes } from "./addresses.ts";
import { followNetlink } from "./netlink-follower.ts";
import { decodeMessages } from "./netlink-message.ts";

const routeProtocol = 0;
/** `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`. */
const groups = 0x40 | 0x400;

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
    const subnets = newRoutes(decodeMessages(bytes));
    if (subnets.length > 0) appeared(subnets);
  };
  return followNetlink({ protocol: routeProtocol, groups, received, lost, failed });
}
