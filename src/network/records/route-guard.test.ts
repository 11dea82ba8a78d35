import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addAddress, usedSubnets } from "#kernel/network/addresses.ts";
import { addBridge, findLink, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { makeNamespace, removeNamespace, stayInNamespace } from "#kernel/network/netns.ts";
import type { NetworkRecord } from "#spec/network.ts";
import { RouteGuard } from "./route-guard.ts";

let directory: string;
let home: Disposable;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-routes-"));
  makeNamespace(join(directory, "host"), () => undefined);
  home = stayInNamespace(join(directory, "host"));
});
afterEach(() => {
  home[Symbol.dispose]();
  removeNamespace(join(directory, "host"));
  rmSync(directory, { recursive: true, force: true });
});

test("a route that appears over a network's subnet is told once, others not at all", async () => {
  const told: string[] = [];
  const pools = ["10.50.0.0/24", "fd00:50::/64"].map((subnet) => ({ subnet, gateway: "", auxiliary: {} }));
  const network = { id: "n", name: "n", pools } as unknown as NetworkRecord;
  using netlink = new Netlink();
  using guard = new RouteGuard({
    networks: () => [network],
    hostRoutes: () =>
      usedSubnets(netlink).map((each) => ({ ...each, owner: `the route through ${each.interfaceName}` })),
    told: (_, warning) => told.push(warning),
    report: (fault) => {
      throw fault;
    },
  });
  guard.start();
  addBridge(netlink, "vpn0");
  const index = findLink(netlink, "vpn0")?.index ?? 0;
  setUp(netlink, index);
  addAddress(netlink, index, { address: "10.60.0.1", prefixLength: 16 });
  addAddress(netlink, index, { address: "10.50.0.1", prefixLength: 16 });
  addAddress(netlink, index, { address: "fd00:50::9", prefixLength: 48 });
  for (let attempt = 0; told.length < 2 && attempt < 200; attempt++) await Bun.sleep(10);
  expect(told.sort()).toEqual([
    expect.stringContaining(
      "the subnet 10.50.0.0/24 overlaps 10.50.0.0/16, which the route through vpn0 has",
    ),
    expect.stringContaining(
      "the subnet fd00:50::/64 overlaps fd00:50::/48, which the route through vpn0 has",
    ),
  ]);
  expect(guard.warnings(network)).toHaveLength(2);
  expect(guard.warnings({ pools: [{ subnet: "10.51.1.0/24", gateway: "", auxiliary: {} }] })).toEqual([]);
});
