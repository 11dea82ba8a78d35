import { expect, test } from "bun:test";
import { ipamConfig } from "./ipam-flags.ts";

const none = { subnets: [], ranges: [], gateways: [], auxiliary: {} };

test("ranges, gateways and addresses go to the subnet they lie in", () => {
  expect(
    ipamConfig({
      subnets: ["10.1.0.0/24", "fd00::/64"],
      ranges: ["10.1.0.128/25"],
      gateways: ["fd00::1", "10.1.0.1"],
      auxiliary: { router: "10.1.0.2" },
    }),
  ).toEqual([
    {
      Subnet: "10.1.0.0/24",
      IPRange: "10.1.0.128/25",
      Gateway: "10.1.0.1",
      AuxiliaryAddresses: { router: "10.1.0.2" },
    },
    { Subnet: "fd00::/64", Gateway: "fd00::1" },
  ]);
});

test.each([
  [{ gateways: ["10.1.0.1"] }, "every ip-range or gateway must have a corresponding subnet"],
  [{ subnets: ["10.1.0.0/24", "10.1.0.0/16"] }, "multiple overlapping subnet configuration is not supported"],
  [{ subnets: ["10.1.0.0/24"], gateways: ["10.2.0.1"] }, "no matching subnet for gateway 10.2.0.1"],
  [{ subnets: ["10.1.0.0/24"], auxiliary: { a: "10.2.0.1" } }, "no matching subnet for aux-address 10.2.0.1"],
  [
    { subnets: ["10.1.0.0/24", "10.2.0.0/24"], ranges: ["10.1.0.0/25", "10.1.0.128/25"] },
    "cannot configure multiple ranges (10.1.0.128/25, 10.1.0.0/25) on the same subnet (10.1.0.0/24)",
  ],
  [{ subnets: ["nonsense"], gateways: ["10.1.0.1"] }, "invalid CIDR address: nonsense"],
])("%j is refused", (given, message) => {
  expect(() => ipamConfig({ ...none, ...given })).toThrow(message);
});
