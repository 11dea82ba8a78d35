import { describe, expect, test } from "bun:test";
import type { NetworkCreateRequest, NetworkIpamConfig } from "#spec/network.ts";
import { chooseAddress, parseSubnet } from "./ipam.ts";
import { checkNetworkRequest, planPool, routeWarning } from "./plan-network.ts";

const pools = [{ base: { address: "10.0.0.0", prefixLength: 22 }, size: 24 }];
const request: NetworkCreateRequest = {
  ...{ name: "n", driver: "", scope: "", ingress: false, ipv4: true, ipv6: false, internal: false },
  ...{ attachable: false, configOnly: false, configFrom: "", options: {}, labels: {} },
  ipam: { driver: "", options: null, config: [] },
};
const withConfig = (...config: NetworkIpamConfig[]) => ({ ...request, ipam: { ...request.ipam, config } });
const pool = (...config: NetworkIpamConfig[]) => planPool(config, [], [], pools);

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
    [withConfig({ Subnet: "fd00::/64" }), "IPv6 is not supported by this engine yet"],
    [{ ...request, ipam: { ...request.ipam, driver: "x" } }, 'plugin "x" not found'],
    [{ ...request, ingress: true }, "Ingress network can only be global scope network"],
    [{ ...request, scope: "swarm" }, "cannot create a swarm scoped network when swarm is not active"],
    [{ ...request, ipv4: false }, "a network without IPv4 needs IPv6"],
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
    expect(planPool([], [], host, pools).subnet).toBe("10.0.2.0/24");
    const networks = [{ name: "web", pools: [{ subnet: "10.0.2.0/24", gateway: "", auxiliary: {} }] }];
    expect(planPool([], networks, host, pools)).toEqual({
      subnet: "10.0.3.0/24",
      gateway: "10.0.3.1",
      auxiliary: {},
    });
    expect(() =>
      planPool([], networks, [...host, { ...parseSubnet("10.0.3.0/24"), owner: "x" }], pools),
    ).toThrow(
      "all predefined address pools have been fully subnetted: the host's route through eth0 has 10.0.0.0/23, network web has 10.0.2.0/24, x has 10.0.3.0/24: remove",
    );
    expect(() => planPool([{ Subnet: "10.0.0.0/8" }], networks, [], pools)).toThrow(
      "Pool overlaps with other one on this address space: network web has 10.0.2.0/24",
    );
  });

  test("asked for over a route of the host is given, with a word", () => {
    const given = planPool([{ Subnet: "10.0.0.0/24" }], [], host, pools);
    expect(routeWarning(given, host)).toContain(
      "overlaps 10.0.0.0/23, which the host's route through eth0 has",
    );
    expect(routeWarning(given, [])).toBe("");
  });

  test("has its gateway where dockerd puts it", () => {
    expect(pool({ Subnet: "10.1.0.0/24" }).gateway).toBe("10.1.0.1");
    expect(pool({ Subnet: "10.1.0.0/16", IPRange: "10.1.5.0/24" }).gateway).toBe("10.1.5.0");
    expect(pool({ Subnet: "10.1.0.0/24", AuxiliaryAddresses: { a: "10.1.0.1" } }).gateway).toBe("10.1.0.2");
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
