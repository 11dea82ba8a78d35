import { expect, test } from "bun:test";
import {
  addressBytes,
  addressOf,
  canonicalAddress,
  contains,
  formatSubnet,
  networkOf,
  overlap,
  parseAddress,
  parseSubnet,
} from "./ip.ts";

test.each([
  ["10.0.0.1", "10.0.0.1"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["::1", "::1"],
  ["fd00:0:0:1::", "fd00:0:0:1::"],
  ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ["::ffff:192.0.2.1", "::ffff:c000:201"],
])("%s is written %s", (text, canonical) => {
  expect(canonicalAddress(text)).toBe(canonical);
  expect(addressOf(addressBytes(text))).toBe(canonical);
});

test.each([
  ..."256.0.0.1 1.2.3 1.2.3.4.5 1::2::3 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 12345:: ::g fe80::1%eth0 :1 1:".split(
    " ",
  ),
  "::1.2.3.256",
])("%s is no address", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

test("subnets of both families", () => {
  expect(formatSubnet(networkOf(parseSubnet("fd00:1:2:3:4::5/64")))).toBe("fd00:1:2:3::/64");
  expect(formatSubnet(networkOf(parseSubnet("10.1.2.3/8")))).toBe("10.0.0.0/8");
  expect(contains(parseSubnet("fd00::/8"), "fdff::1")).toBe(true);
  expect(overlap(parseSubnet("::/0"), parseSubnet("0.0.0.0/0"))).toBe(false);
  for (const text of ["10.0.0.0/33", "fd00::/129", "fd00::", "10.0.0.0/x", "10.0.0.0/8/8"])
    expect(() => parseSubnet(text)).toThrow(`invalid CIDR address: ${text}`);
});
