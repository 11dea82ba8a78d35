import { describe, expect, test } from "bun:test";
import { type Family, formatSubnet, parseSubnet } from "#spec/ip.ts";
import type { NetworkCreateRequest, NetworkIpamConfig } from "#spec/network.ts";
import { chooseAddress, chooseSubnet, localPool } from "./ipam.ts";
import { checkNetworkRequest, planPools, routeWarnings } from "./plan-network.ts";

const pools = [{ base: { address: "10.0.0.0", prefixLength: 22 }, size: 24 }];
const request: NetworkCreateRequest = {
  ...{ name: "n", driver: "", scope: "", ingress: false, ipv4: true, ipv6: false, internal: false },
  ...{ attachable: false, configOnly: false, configFrom: "", options: {}, labels: {} },
  ipam: { driver: "", options: null, config: [] },
};
const withConfig = (...config: NetworkIpamConfig[]) => ({ ...request, ipam: { ...request.ipam, config } });
const asking = (...config: NetworkIpamConfig[]) => ({
  ...{ config, families: [4] as Family[], hasGateway: () => true },
});
const pool = (...config: NetworkIpamConfig[]) =>
  planPools(asking(...config), { networks: [], host: [], pools })[0];

describe("a request", () => {
  test.each([
    [withConfig({ Subnet: "x" }), "invalid network config:\ninvalid subnet x: invalid CIDR block notation"],
    [
      withConfig({ Subnet: "10.1.0.0/24", IPRange: "10.1.0.0/16", Gateway: "zz" }),
      "invalid network config:\n* invalid ip-range 10.1.0.0/16: CIDR block is bigger than its parent subnet 10.1.0.0/24\n* invalid gateway zz: invalid address",
    ],
    [
      withConfig({ Subnet: "10.1.0.0/24", AuxiliaryAddresses: { a: "10.2.0.1" } }),
      "invalid network config:\ninvalid auxiliary address a: parent subnet 10.1.0.0/24 doesn't contain this address",
    ],
    [withConfig({ Subnet: "fd00::1/64" }), "invalid subnet fd00::1/64: it should be fd00::/64"],
    [
      withConfig({ Subnet: "fd00::/64", Gateway: "10.1.0.1" }),
      "invalid gateway 10.1.0.1: parent subnet fd00::/64 doesn't contain this address",
    ],
    [{ ...request, ipam: { ...request.ipam, driver: "x" } }, 'plugin "x" not found'],
    [{ ...request, ingress: true }, "Ingress network can only be global scope network"],
    [{ ...request, scope: "swarm" }, "cannot create a swarm scoped network when swarm is not active"],
    [{ ...request, ipv4: false }, "IPv4 or IPv6 must be enabled"],
  ])("that cannot be is refused: %#", (given, message) => {
    expect(() => checkNetworkRequest(given)).toThrow(message);
  });

  test("that can be is not", () => {
    checkNetworkRequest(withConfig({ Subnet: "10.1.0.0/24", IPRange: "10.1.0.128/25", Gateway: "10.1.0.1" }));
  });
});

describe("a pool", () => {
  const host = [{ ...parseSubnet("10.0.0.0/23"), owner: "the host's route through eth0" }];

  test("is the first that neither a network nor a route of the host has", () => {
    expect(planPools(asking(), { networks: [], host, pools })[0]?.subnet).toBe("10.0.2.0/24");
    const networks = [{ name: "web", pools: [{ subnet: "10.0.2.0/24", gateway: "", auxiliary: {} }] }];
    expect(planPools(asking(), { networks, host, pools })).toEqual([
      { subnet: "10.0.3.0/24", gateway: "10.0.3.1", auxiliary: {} },
    ]);
    expect(() =>
      planPools(asking(), {
        networks,
        host: [...host, { ...parseSubnet("10.0.3.0/24"), owner: "x" }],
        pools,
      }),
    ).toThrow(
      "all predefined address pools have been fully subnetted: the host's route through eth0 has 10.0.0.0/23, network web has 10.0.2.0/24, x has 10.0.3.0/24: remove",
    );
    expect(() => planPools(asking({ Subnet: "10.0.0.0/8" }), { networks, host: [], pools })).toThrow(
      "Pool overlaps with other one on this address space: network web has 10.0.2.0/24",
    );
  });

  test("asked for over a route of the host is given, with a word", () => {
    const given = planPools(asking({ Subnet: "10.0.0.0/24" }), { networks: [], host, pools });
    expect(routeWarnings(given, host)).toEqual([
      expect.stringContaining("overlaps 10.0.0.0/23, which the host's route through eth0 has"),
    ]);
    expect(routeWarnings(given, [])).toEqual([]);
  });

  test("has its gateway where dockerd puts it", () => {
    expect(pool({ Subnet: "10.1.0.0/24" })?.gateway).toBe("10.1.0.1");
    expect(pool({ Subnet: "10.1.0.0/16", IPRange: "10.1.5.0/24" })?.gateway).toBe("10.1.5.0");
    expect(pool({ Subnet: "10.1.0.0/24", AuxiliaryAddresses: { a: "10.1.0.1" } })?.gateway).toBe("10.1.0.2");
    for (const Gateway of ["10.1.0.0", "10.1.0.255"])
      expect(() => pool({ Subnet: "10.1.0.0/24", Gateway })).toThrow(
        `failed to allocate gateway (${Gateway}): Address already in use`,
      );
  });
});

test("addresses go around a range, never its subnet's ends", () => {
  const subnet = parseSubnet("10.1.0.0/29");
  const taken = new Set(["10.1.0.1"]);
  expect(chooseAddress(subnet, taken, "0.0.0.0")).toBe("10.1.0.2");
  expect(chooseAddress(subnet, taken, "10.1.0.6")).toBe("10.1.0.2");
  expect(chooseAddress(subnet, taken, "10.1.0.2", { within: parseSubnet("10.1.0.4/30") })).toBe("10.1.0.4");
  expect(() => chooseAddress(subnet, { has: () => true }, "", { network: "n (id)" })).toThrow(
    "no available IPv4 addresses on this network's address pools: n (id): all 6 of 10.1.0.0/29 are taken",
  );
});

describe("IPv6", () => {
  const local = localPool(Uint8Array.from([1, 2, 3, 4, 5]));
  const both = { ...asking(), families: [4, 6] as Family[] };

  test("has a unique local prefix by default, in subnets of 64 bits", () => {
    expect(local).toEqual({ base: { address: "fd01:203:405::", prefixLength: 48 }, size: 64 });
    expect(planPools(both, { networks: [], host: [], pools: [...pools, local] })).toEqual([
      { subnet: "10.0.0.0/24", gateway: "10.0.0.1", auxiliary: {} },
      { subnet: "fd01:203:405::/64", gateway: "fd01:203:405::1", auxiliary: {} },
    ]);
  });

  test("a wide route in the way is passed in one step", () => {
    const used = [{ ...parseSubnet("fd00::/9"), owner: "x" }];
    const wide = { base: { address: "fd00::", prefixLength: 8 }, size: 64 };
    expect(formatSubnet(chooseSubnet(used, [wide], 6))).toBe("fd80::/64");
  });

  test("addresses begin behind the subnet's own and end with the last", () => {
    const subnet = parseSubnet("fd00::/126");
    const taken = new Set(["fd00::1", "fd00::2"]);
    expect(chooseAddress(subnet, taken, "")).toBe("fd00::3");
    expect(() => chooseAddress(subnet, { has: () => true }, "")).toThrow(
      "no available IPv6 addresses on this network's address pools: fd00::/126: all 3 of fd00::/126 are taken",
    );
  });
});
