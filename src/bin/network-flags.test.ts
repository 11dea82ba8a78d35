import { expect, test } from "bun:test";
import { decideOptions, parseCommandLine, parseConfigFile } from "./daemon-options.ts";

const decided = (args: readonly string[], file: object = {}) =>
  decideOptions(parseCommandLine(args), parseConfigFile(JSON.stringify(file), "daemon.json"), {}).network;

test("nothing said is nothing wished for", () => {
  const none = { subnet: undefined, range: undefined, gateway: undefined };
  expect(decided([])).toEqual({
    bridge: { ipv4: none, ipv6: undefined, options: {} },
    ip6tables: true,
    userlandProxy: true,
    addressPools: undefined,
    networkDefaults: {},
    dns: { servers: [], search: [], options: [] },
    hostGateways: undefined,
    firewall: "strict",
  });
});

const told = {
  bridge: {
    ipv4: { subnet: "10.1.0.1/24", range: "10.1.0.128/25", gateway: "10.1.0.254" },
    ipv6: { subnet: "fd00:1::1/64", range: "fd00:1::8:0/112", gateway: "fd00:1::fe" },
    options: {
      "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
      "com.docker.network.driver.mtu": "1400",
      "com.docker.network.bridge.enable_icc": "false",
      "com.docker.network.bridge.enable_ip_masquerade": "false",
    },
  },
  networkDefaults: {
    bridge: { "com.docker.network.driver.mtu": "1300", x: "a=b" },
    macvlan: { parent: "e" },
  },
  dns: { servers: ["10.0.0.1", "fd00::1"], search: ["corp.example", "."], options: ["ndots:2"] },
  hostGateways: ["192.0.2.1", "2001:db8::1"],
  userlandProxy: false,
};

test("flags", () => {
  const flags = [
    ...["--bip", "10.1.0.1/24", "--fixed-cidr", "10.1.0.200/25", "--default-gateway=10.1.0.254", "--ipv6"],
    ...["--bip6", "fd00:1::1/64", "--fixed-cidr-v6=fd00:1::8:1/112", "--default-gateway-v6", "FD00:1:0::fe"],
    ...["--ip=127.0.0.1", "--mtu", "1400", "--icc=false", "--ip-masq=false", "--userland-proxy=false"],
    ...["--default-network-opt", "bridge=com.docker.network.driver.mtu=1300"],
    ...["--default-network-opt", "bridge=x=a=b", "--default-network-opt", "macvlan=parent=e"],
    ...["--dns", "10.0.0.1", "--dns", "fd00::1", "--dns-search", "corp.example", "--dns-search=."],
    ...["--dns-opt", "ndots:2", "--host-gateway-ip", "2001:db8::1", "--host-gateway-ip=192.0.2.1"],
  ];
  expect(decided(flags)).toMatchObject(told);
});

test("the file", () => {
  const file = {
    ...{ bip: "10.1.0.1/24", "fixed-cidr": "10.1.0.128/25", "default-gateway": "10.1.0.254", ipv6: true },
    ...{ bip6: "fd00:1::1/64", "fixed-cidr-v6": "fd00:1::8:0/112", "default-gateway-v6": "fd00:1::fe" },
    ...{ ip: "127.0.0.1", mtu: 1400, icc: false, "ip-masq": false, "userland-proxy": false },
    "default-network-opts": told.networkDefaults,
    dns: told.dns.servers,
    "dns-search": told.dns.search,
    "dns-opts": told.dns.options,
    "host-gateway-ips": told.hostGateways,
  };
  expect(decided([], file)).toMatchObject(told);
  expect(decided([], { "host-gateway-ip": "192.0.2.9" }).hostGateways).toEqual(["192.0.2.9"]);
  expect(decided(["--icc"], { icc: false }).bridge.options).toEqual({});
  expect(() => decided(["--mtu", "1400"], { mtu: 1300 })).toThrow("specified both as a flag and");
});

test.each([
  [["--bip", "10.1.0.1"], "invalid --bip"],
  [["--bip", "fd00::1/64"], "invalid --bip"],
  [["--bip6", "10.1.0.1/24", "--ipv6"], "invalid --bip6"],
  [["--fixed-cidr", "fd00::/64"], "invalid --fixed-cidr"],
  [["--default-gateway", "gw"], "invalid --default-gateway"],
  [["--default-gateway-v6", "10.0.0.1", "--ipv6"], "invalid --default-gateway-v6"],
  [["--ip", "here"], 'invalid --ip "here": want an IP address'],
  [["--mtu", "67"], "invalid --mtu"],
  [["--mtu", "-1"], "invalid --mtu"],
  [["--dns", "one.example"], "invalid --dns"],
  [["--dns-search", "a b"], "invalid --dns-search"],
  [["--default-network-opt", "bridge=mtu"], "want DRIVER=OPTION=VALUE"],
  [["--host-gateway-ip", "10.0.0.1,10.0.0.2"], "at most one address of each family"],
  [["--default-address-pool", "10.0.0.0/8"], "want base=CIDR,size=BITS"],
  [["--firewall", "off"], "want strict or docker"],
])("%p is refused", (args, message) => {
  expect(() => decided(args)).toThrow(message);
});
