import { expect, test } from "bun:test";
import { parentOptions } from "./parent-options.ts";

test("kinds and modes, with dockerd's defaults", () => {
  expect(parentOptions("macvlan", {})).toEqual({
    ...{ parent: undefined, vlan: undefined, mtu: undefined },
    kind: { kind: "macvlan", mode: "bridge" },
  });
  const options = {
    parent: "eth0.10",
    ipvlan_mode: "l3s",
    ipvlan_flag: "vepa",
    "com.docker.network.driver.mtu": "1400",
  };
  expect(parentOptions("ipvlan", options)).toEqual({
    ...{ parent: "eth0.10", vlan: { parent: "eth0", id: 10 }, mtu: 1400 },
    kind: { kind: "ipvlan", mode: "l3s", flag: "vepa" },
  });
});

test.each([
  [
    "macvlan",
    { macvlan_mode: "x" },
    "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
  ],
  [
    "ipvlan",
    { ipvlan_mode: "l4" },
    "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default",
  ],
  [
    "ipvlan",
    { ipvlan_flag: "x" },
    "requested ipvlan flag 'x' is not valid, 'bridge' flag is the ipvlan driver default",
  ],
  ["macvlan", { parent: "lo" }, "loopback interface is not a valid macvlan parent link"],
  ["macvlan", { parent: "eth0.5000" }, "vlan id must be between 1-4094, received: 5000"],
  ["macvlan", { parent: "much-too-long-a-name" }, "want at most 15 letters"],
  [
    "macvlan",
    { parnet: "eth0" },
    "the option parnet of a macvlan network is not supported by this engine: it knows parent",
  ],
] as const)("%s %j is refused", (driver, options, message) => {
  expect(() => parentOptions(driver, options as Record<string, string>)).toThrow(message);
});
