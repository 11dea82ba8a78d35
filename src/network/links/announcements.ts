/**
 * Has neighbours learn who has an address now, where somebody with other hardware may have had it before: they would go on
 * sending there for half a minute.
 * Owns: its timers. Never: delays who plugs, or fails when the container is gone by then.
 */
import { findLink, setMac } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { macBytes, macOf } from "#network/records/ipam.ts";
import type { Endpoint } from "#spec/network.ts";
import { write } from "./namespaces.ts";

/** After plugging: a bridge's port does not carry anything at once, and what is told once may be lost. */
const announcedAfterMs = [100, 1000];

export class Announcements implements Disposable {
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  /** `isThere` says whether the endpoints still belong to that namespace when the time comes. */
  plan(netnsPath: string, endpoints: readonly Endpoint[], isThere: () => boolean): void {
    const told = endpoints.filter(mayHaveMoved);
    if (told.length === 0) return;
    for (const afterMs of announcedAfterMs) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        if (isThere()) announce(netnsPath, told);
      }, afterMs);
      timer.unref();
      this.#timers.add(timer);
    }
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

/** Hardware made from the address of IPv4 goes with it from container to container. */
function mayHaveMoved({ interfaceName, ipAddress, ip6Address, macAddress }: Endpoint): boolean {
  if (interfaceName === "" || macAddress === "") return false;
  return ip6Address !== "" || (ipAddress !== "" && macAddress !== macOf(ipAddress));
}

/** An interface that gets an address of hardware tells it, even when it is the one it had (`arp_notify`, `ndisc_notify`). */
function announce(netnsPath: string, endpoints: readonly Endpoint[]): void {
  try {
    inNamespace(netnsPath, () => {
      using netlink = new Netlink();
      for (const { interfaceName, ip6Address, macAddress } of endpoints) {
        const link = findLink(netlink, interfaceName);
        if (link === undefined) continue;
        write(`/proc/sys/net/ipv4/conf/${interfaceName}/arp_notify`, "1");
        if (ip6Address !== "") write(`/proc/sys/net/ipv6/conf/${interfaceName}/ndisc_notify`, "1");
        setMac(netlink, link.index, macBytes(macAddress));
      }
    });
  } catch {
    // The container ended meanwhile, and its namespace with it.
  }
}
