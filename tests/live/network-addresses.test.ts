/** Addresses on networks: as asked, kept over crashes, never twice; and what cannot be is said in dockerd's words. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import type { EndpointSettings } from "#spec/container.ts";
import { Neighbour } from "./neighbour.ts";
import { type Endpoints, faultOf, NetworkLab } from "./network-lab.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());
afterEach(async () => await lab.clear());

describe("addresses", () => {
  test("subnet, range, gateway and auxiliary addresses are kept to; a static one is had once", async () => {
    const config = {
      Subnet: "10.77.0.0/24",
      IPRange: "10.77.0.8/30",
      Gateway: "10.77.0.254",
      AuxiliaryAddresses: { router: "10.77.0.8" },
    };
    await lab.client.networks.create({ Name: "n", IPAM: { Config: [config] } });
    expect((await lab.client.networks.inspect("n")).IPAM.Config).toEqual([config]);
    await lab.run("one", "n");
    expect(await lab.addressOn("one", "n")).toBe("10.77.0.9");
    const fixed = (IPv4Address: string) => ({ endpoints: { n: { IPAMConfig: { IPv4Address } } } });
    await lab.run("two", "n", fixed("10.77.0.99"));
    expect((await lab.inside("two", "ip", "-4", "addr", "show", "eth0")).out).toContain("10.77.0.99/24");
    expect((await lab.inside("two", "ip", "route")).out).toContain("default via 10.77.0.254");
    expect(await faultOf(lab.run("three", "n", fixed("10.77.0.99")))).toContain(
      "Address already in use: 10.77.0.99 of network n belongs to container two",
    );
    expect(await faultOf(lab.run("four", "n", fixed("10.77.0.254")))).toContain("belongs to its gateway");
    await lab.run("five", "n");
    await lab.run("six", "n");
    expect(await faultOf(lab.run("seven", "n"))).toContain(
      "no available IPv4 addresses on this network's address pools: n (",
    );
    await lab.client.containers.remove("one", { force: true });
    await lab.client.containers.stop("six", { seconds: 0 });
    await lab.run("eight", "n");
    expect(await lab.addressOn("eight", "n")).toBe("10.77.0.9");
    await lab.client.containers.start("six");
    expect(await lab.addressOn("six", "n")).toBe("10.77.0.11");
  });

  test("a MAC address, link-local addresses, an MTU and endpoint options are as asked", async () => {
    await lab.client.networks.create({
      Name: "n",
      Options: {
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.container_iface_prefix": "net",
      },
    });
    const settings: EndpointSettings = {
      MacAddress: "02:42:00:00:00:77",
      IPAMConfig: { LinkLocalIPs: ["169.254.7.7"] },
      DriverOpts: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" },
    };
    await lab.run("one", "n", { endpoints: { n: settings } });
    const shown = (await lab.inside("one", "ip", "addr", "show", "net0")).out;
    for (const part of ["mtu 1400", "02:42:00:00:00:77", "169.254.7.7/16"]) expect(shown).toContain(part);
    expect((await lab.inside("one", "cat", "/proc/sys/net/ipv4/conf/net0/log_martians")).out).toBe("1\n");
    expect((await lab.client.containers.inspect("one")).NetworkSettings.Networks["n"]).toMatchObject({
      MacAddress: "02:42:00:00:00:77",
      DriverOpts: settings.DriverOpts,
    });
  });

  test("leases outlive a crash, and are given back with their containers", async () => {
    await lab.client.networks.create({ Name: "n", IPAM: { Config: [{ Subnet: "10.77.1.0/29" }] } });
    for (const name of ["one", "two", "three", "four", "five"]) await lab.run(name, "n");
    await lab.client.containers.stop("three", { seconds: 0 });
    await lab.restart("SIGKILL");
    expect(await lab.addressOn("one", "n")).toBe("10.77.1.2");
    expect(await lab.fetches("two", "10.77.1.2")).toBe("one");
    await lab.client.containers.start("three");
    expect(await lab.addressOn("three", "n")).toBe("10.77.1.4");
    expect(await faultOf(lab.run("six", "n"))).toContain("all 6 of 10.77.1.0/29 are taken");
  });
});
test("a route of the host that appears over a network is told: by an event, the log and inspect", async () => {
  await lab.client.networks.create({ Name: "n", IPAM: { Config: [{ Subnet: "10.78.5.0/24" }] } });
  expect((await lab.client.networks.inspect("n")).Warnings).toBeUndefined();
  const since = String(Date.now() / 1000);
  const ended = new AbortController();
  const told = (async () => {
    for await (const event of lab.client.events({
      since,
      filters: { event: ["overlap"] },
      signal: ended.signal,
    }))
      return event.Actor.Attributes;
    return undefined;
  })();
  using neighbour = new Neighbour(lab.engine);
  spawnSync("nsenter", [
    `--net=${lab.engine.netns}`,
    "ip",
    "route",
    "add",
    "10.78.0.0/16",
    "via",
    neighbour.address,
  ]);
  const sentence = "the subnet 10.78.5.0/24 overlaps 10.78.0.0/16, which the host's route through lan0 has";
  expect(await told).toMatchObject({ name: "n", type: "bridge", warning: expect.stringContaining(sentence) });
  ended.abort();
  expect((await lab.client.networks.inspect("n")).Warnings).toEqual([expect.stringContaining(sentence)]);
  expect(lab.engine.log).toContain(`network n: ${sentence}`);
  const made = await lab.client.networks.create({
    Name: "m",
    IPAM: { Config: [{ Subnet: "10.78.6.0/24" }] },
  });
  expect(made.Warning).toContain("10.78.6.0/24 overlaps");
});

describe("what cannot be is said", () => {
  const config = (...Config: object[]) => ({ IPAM: { Config } });
  const cases: [string, object, string][] = [
    ["no name", { Name: " " }, "invalid name:  "],
    ["a predefined name", { Name: "host" }, "operation is not permitted on predefined host network "],
    ["a second host network", { Driver: "host" }, 'only one instance of "host" network is allowed'],
    ["an unknown driver", { Driver: "nosuch" }, 'plugin "nosuch" not found'],
    [
      "a parent that is not there",
      { Driver: "macvlan", Options: { parent: "eth9" } },
      "invalid subinterface vlan name eth9, example formatting is eth0.10",
    ],
    [
      "a mode of macvlan that is none",
      { Driver: "macvlan", Options: { macvlan_mode: "bent" } },
      "requested macvlan mode 'bent' is not valid, 'bridge' mode is the macvlan driver default",
    ],
    ["overlay", { Driver: "overlay" }, "This node is not a swarm manager."],
    ["neither family", { EnableIPv4: false }, "IPv4 or IPv6 must be enabled"],
    [
      "a subnet with host bits",
      config({ Subnet: "10.5.0.5/24" }),
      "invalid network config:\ninvalid subnet 10.5.0.5/24: it should be 10.5.0.0/24",
    ],
    [
      "a gateway elsewhere",
      config({ Subnet: "10.5.0.0/24", Gateway: "10.6.0.1" }),
      "invalid gateway 10.6.0.1: parent subnet 10.5.0.0/24 doesn't contain this address",
    ],
    [
      "two subnets",
      config({ Subnet: "10.5.0.0/24" }, { Subnet: "10.6.0.0/24" }),
      "bridge driver doesn't support multiple subnets",
    ],
    [
      "an MTU that is no number",
      { Options: { "com.docker.network.driver.mtu": "abc" } },
      'failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing "abc": invalid syntax)',
    ],
    [
      "a gateway mode that is none",
      { Options: { "com.docker.network.bridge.gateway_mode_ipv4": "bent" } },
      "unknown gateway mode bent: want nat, nat-unprotected, routed or isolated",
    ],
    [
      "the bridge of another network",
      { Options: { "com.docker.network.bridge.name": "wherrybr0" } },
      "networks have same bridge name",
    ],
    ["another network's subnet", config({ Subnet: "10.78.0.128/25" }), "Pool overlaps with other one"],
  ];

  test("of networks", async () => {
    await lab.client.networks.create({
      Name: "first",
      ...config({ Subnet: "10.78.0.0/24" }),
      Options: { "com.docker.network.bridge.name": "wherrybr0" },
    });
    for (const [what, body, message] of cases)
      expect([what, await faultOf(lab.client.networks.create({ Name: "n", ...body }))]).toEqual([
        what,
        expect.stringContaining(message),
      ]);
    expect(await faultOf(lab.client.networks.create({ Name: "first" }))).toBe(
      "network with name first already exists",
    );
    expect(await faultOf(lab.client.networks.remove("nosuch"))).toBe("network nosuch not found");
    expect(await faultOf(lab.client.networks.remove("bridge"))).toBe(
      "bridge is a pre-defined network and cannot be removed",
    );
    expect((await lab.client.networks.list()).map(({ Name }) => Name).sort()).toEqual([
      "bridge",
      "first",
      "host",
      "none",
    ]);
  });

  test("of endpoints", async () => {
    await lab.client.networks.create({ Name: "n" });
    const create = async (mode: string, endpoints: Endpoints) =>
      await faultOf(
        lab.client.containers.create({
          Image: "busybox",
          HostConfig: { NetworkMode: mode },
          NetworkingConfig: { EndpointsConfig: endpoints },
        }),
      );
    const invalid = (network: string) => `invalid config for network ${network}: `;
    expect(await create("n", { n: { IPAMConfig: { IPv4Address: "10.1.1.1" } } })).toBe(
      `${invalid("n")}invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user configured subnets`,
    );
    expect(await create("bridge", { bridge: { IPAMConfig: { IPv4Address: "zz" } } })).toContain(
      "invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* invalid IPv4 address: zz",
    );
    expect(await create("bridge", { bridge: { Aliases: ["x"] } })).toContain(
      "network-scoped alias is supported only for containers in user defined networks",
    );
    expect(await create("n", { n: { MacAddress: "zz" } })).toBe(`${invalid("n")}invalid MAC address zz`);
    expect(await create("n", { n: { DriverOpts: { nosuch: "1" } } })).toContain("nosuch is not supported");
    expect(await faultOf(lab.run("one", "nosuch"))).toContain("network nosuch not found");
  });

  test("of pools: who is in the way", async () => {
    await lab.restart("SIGTERM", "--default-address-pool", "base=10.80.0.0/23,size=24");
    await lab.client.networks.create({ Name: "one" });
    await lab.client.networks.create({ Name: "two" });
    expect(await faultOf(lab.client.networks.create({ Name: "three" }))).toContain(
      "all predefined address pools have been fully subnetted: network one has 10.80.0.0/24, network two has 10.80.1.0/24: remove networks",
    );
    await lab.restart("SIGTERM");
  });
});
