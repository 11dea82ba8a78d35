/**
 * Told by the kernel when nftables rules change, whoever changes them (netlink(7), `NFNLGRP_NFTABLES`).
 */
import type { Fault } from "#spec/fault.ts";
import { followNetlink } from "./netlink-follower.ts";
import { type RulesetChange, RulesetChanges } from "./ruleset-changes.ts";

const netfilterProtocol = 12;
/** `NFNLGRP_NFTABLES` as a bit. */
const group = 1 << 6;

export interface RulesetWatcher {
  /** In order, each when it has taken effect. */
  readonly changed: (change: RulesetChange) => void;
  /** More changed at once than the kernel keeps word of: what, nobody knows. */
  readonly lost: () => void;
  readonly failed: (fault: Fault) => void;
}

/** In the network namespace of the calling thread, until disposed. @throws Errno when the kernel has no nftables. */
export function watchRulesets(
  watcher: RulesetWatcher,
  o: { readonly receiveBytes?: number } = {},
): Disposable {
  let changes = new RulesetChanges();
  return followNetlink({
    protocol: netfilterProtocol,
    groups: group,
    receiveBytes: o.receiveBytes,
    received: (bytes) => {
      for (const change of changes.take(bytes)) watcher.changed(change);
    },
    lost: () => {
      changes = new RulesetChanges();
      watcher.lost();
    },
    failed: watcher.failed,
  });
}
