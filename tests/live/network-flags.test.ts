/** What the engine is told about its default bridge, names and the host, as containers meet it. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerCli } from "./engine-under-test.ts";
import { NetworkLab } from "./network-lab.ts";
import { until } from "./told.ts";

let lab: NetworkLab;
const bridge = "com.docker.network.bridge";
const flags = [
  ...["--bip", "10.94.0.1/24", "--fixed-cidr", "10.94.0.128/25", "--default-gateway", "10.94.0.254"],
  ...["--ipv6", "--bip6", "fd00:94::1/64", "--fixed-cidr-v6", "fd00:94::8:0/112"],
  ...["--default-gateway-v6", "fd00:94::fe", "--ip", "127.0.0.1", "--mtu", "1400", "--icc=false"],
  ...["--ip-masq=false", "--default-network-opt", "bridge=com.docker.network.driver.mtu=1300"],
  ...["--dns", "127.0.0.53", "--dns-search", "corp.example", "--dns-opt", "timeout:3"],
];
beforeAll(async () => {
  lab = await NetworkLab.open(...flags);
});
afterAll(async () => await lab[Symbol.asyncDispose]());
afterEach(async () => await lab.clear());

const inside = async (name: string, ...words: string[]) => (await lab.inside(name, ...words)).out;
const rules = () =>
  spawnSync("nsenter", [`--net=${lab.engine.netns}`, "nft", "list", "ruleset"], { encoding: "utf8" }).stdout;

test("the default bridge: addresses, way out, ports, packets, neighbours", async () => {
  const { IPAM, Options } = await lab.client.networks.inspect("bridge");
  expect(IPAM.Config).toEqual([
    {
      ...{ Subnet: "10.94.0.0/24", IPRange: "10.94.0.128/25", Gateway: "10.94.0.1" },
      AuxiliaryAddresses: { DefaultGatewayIPv4: "10.94.0.254" },
    },
    {
      ...{ Subnet: "fd00:94::/64", IPRange: "fd00:94::8:0/112", Gateway: "fd00:94::1" },
      AuxiliaryAddresses: { DefaultGatewayIPv6: "fd00:94::fe" },
    },
  ]);
  expect(Options).toMatchObject({
    [`${bridge}.enable_icc`]: "false",
    [`${bridge}.enable_ip_masquerade`]: "false",
    [`${bridge}.host_binding_ipv4`]: "127.0.0.1",
    "com.docker.network.driver.mtu": "1400",
  });
  await lab.run("one", "bridge", { host: { PortBindings: { "80/tcp": [{ HostPort: "18300" }] } } });
  await lab.run("two", "bridge");
  const { NetworkSettings } = await lab.client.containers.inspect("one");
  expect(NetworkSettings.Ports["80/tcp"]).toEqual([{ HostIp: "127.0.0.1", HostPort: "18300" }]);
  expect(NetworkSettings.Networks["bridge"]).toMatchObject({
    ...{ IPAddress: "10.94.0.128", Gateway: "10.94.0.254" },
    ...{ GlobalIPv6Address: "fd00:94::8:0", IPv6Gateway: "fd00:94::fe" },
  });
  expect(await inside("one", "ip", "route")).toContain("default via 10.94.0.254 dev eth0");
  expect(await inside("one", "ip", "-6", "route")).toContain("default via fd00:94::fe dev eth0");
  expect(await inside("one", "ip", "link", "show", "eth0")).toContain("mtu 1400");
  expect(await lab.fetches("two", "10.94.0.128")).toBe("");
  expect(rules()).not.toMatch(/set masqueraded6? \{[^}]*elements/);
});

test("networks of one's own have the options said for all, unless they say otherwise; names are asked as said", async () => {
  await lab.client.networks.create({ Name: "n" });
  await lab.client.networks.create({ Name: "own", Options: { "com.docker.network.driver.mtu": "1350" } });
  expect((await lab.client.networks.inspect("n")).Options).toEqual({
    "com.docker.network.driver.mtu": "1300",
  });
  await lab.run("box", "n");
  await lab.run("other", "own", {
    host: { DnsSearch: ["mine"], DnsOptions: ["ndots:4"], Dns: ["10.0.0.7"] },
  });
  await lab.run("plain", "bridge");
  await lab.run("shared", "host");
  expect(await inside("box", "ip", "link", "show", "eth0")).toContain("mtu 1300");
  expect(await inside("other", "ip", "link", "show", "eth0")).toContain("mtu 1350");
  const resolv = async (name: string) =>
    (await inside(name, "cat", "/etc/resolv.conf")).split("\n").filter((line) => /^(?!#)|Ext/.test(line));
  expect(await resolv("box")).toEqual([
    ...["", "nameserver 127.0.0.11", "search corp.example", "options timeout:3 ndots:0", ""],
    ...["# ExtServers: [127.0.0.53]", ""],
  ]);
  expect(await resolv("other")).toContain("options ndots:4");
  expect(await resolv("other")).toContain("search mine");
  expect(await resolv("plain")).toEqual([
    ...["nameserver 127.0.0.53", "search corp.example", "options timeout:3", ""],
  ]);
  expect((await resolv("shared")).join()).not.toContain("corp.example");
});

test("what is said anew holds for the bridge that is there, and for containers that run on it", async () => {
  await lab.run("one", "bridge");
  await lab.run("two", "bridge");
  const one = await lab.addressOn("one", "bridge");
  expect(await lab.fetches("two", one)).toBe("");
  const before = (await lab.client.networks.inspect("bridge")).Id;
  const file = join(lab.engine.directory, "daemon.json");
  const text = { bip: "10.94.0.1/24", mtu: 1450, "host-gateway-ips": ["192.0.2.1", "2001:db8::1"] };
  writeFileSync(file, JSON.stringify(text));
  await lab.restart("SIGTERM", "--config-file", file);
  const { EnableIPv6, IPAM, Id, Options } = await lab.client.networks.inspect("bridge");
  expect([EnableIPv6, Id]).toEqual([false, before]);
  expect(IPAM.Config).toEqual([{ Subnet: "10.94.0.0/24", Gateway: "10.94.0.1" }]);
  expect(Options).toMatchObject({
    [`${bridge}.enable_icc`]: "true",
    "com.docker.network.driver.mtu": "1450",
  });
  // The kernel may hold on for a moment to that nobody answered there.
  await until(async () => (await lab.fetches("two", one)) === "one");
  await lab.run("three", "bridge", { host: { ExtraHosts: ["up:host-gateway"] } });
  expect(await inside("three", "ip", "link", "show", "eth0")).toContain("mtu 1450");
  expect(await inside("three", "cat", "/etc/hosts")).toContain("192.0.2.1\tup\n2001:db8::1\tup\n");
});

for (const [program, absent] of [
  ["wherry", false],
  ["docker", dockerCli === null],
] as const)
  test.skipIf(absent)(
    `${program}: --add-host NAME:host-gateway leads to the host in both families`,
    async () => {
      await lab.restart("SIGTERM", "--ipv6", "--fixed-cidr-v6", "fd00:95::/64");
      const run = ["run", "--rm", "--add-host", "up:host-gateway", "busybox", "grep", "up$", "/etc/hosts"];
      const { stdout, stderr } = await lab.engine.cli(program, run);
      const [{ Gateway = "" } = {}] = (await lab.client.networks.inspect("bridge")).IPAM.Config ?? [];
      expect(`${stderr}${stdout}`).toBe(`${Gateway}\tup\nfd00:95::1\tup\n`);
    },
  );

test("what cannot be is refused with the way out", async () => {
  await lab.engine.stop("SIGTERM");
  for (const [wrong, message] of [
    [
      ["--bip", "10.95.0.1/24", "--fixed-cidr", "10.96.0.0/25"],
      "is outside of its subnet 10.95.0.0/24: give it",
    ],
    [
      ["--bip", "10.95.0.1/24", "--default-gateway", "10.96.0.1"],
      "gateway 10.96.0.1 of the default bridge is",
    ],
    [["--bip", "10.95.0.1/24", "--default-gateway", "10.95.0.1"], "cannot be its own address"],
    [["--mtu", "12"], "invalid --mtu"],
  ] as const)
    await expect(lab.engine.start(...wrong)).rejects.toThrow(message);
  await lab.engine.start();
  lab.client = await lab.engine.client();
});
