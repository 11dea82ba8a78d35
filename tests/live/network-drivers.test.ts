/** macvlan, in a host of the test's own with a neighbour on its link: what containers reach, live changes, crashes. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { dockerCli } from "./engine-under-test.ts";
import { Neighbour } from "./neighbour.ts";
import { faultOf, NetworkLab } from "./network-lab.ts";

let lab: NetworkLab;
let neighbour: Neighbour;
beforeAll(async () => {
  lab = await NetworkLab.open();
  neighbour = new Neighbour(lab.engine);
  atRest = links();
});
afterAll(async () => {
  neighbour[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});
afterEach(async () => await lab.clear());

const links = () => {
  const list = spawnSync("nsenter", [`--net=${lab.engine.netns}`, "ip", "-br", "link"], { encoding: "utf8" });
  return list.stdout.split("\n").map((line) => line.split(/[ @]/)[0] ?? "");
};
/** The kernel takes the links of a namespace that ended away in its own time. */
const settled = async (count: number) => {
  for (const end = Date.now() + 20_000; links().length !== count && Date.now() < end; ) await Bun.sleep(25);
  return links();
};
let atRest: readonly string[];
const lan = {
  ...{ Name: "lan", Driver: "macvlan", Options: { parent: "lan0" } },
  IPAM: { Config: [{ Subnet: "10.231.0.0/24", Gateway: "10.231.0.2", IPRange: "10.231.0.128/25" }] },
};

test("containers are on the host's link with addresses of their own; the link stays as it was", async () => {
  const before = await settled(atRest.length);
  await lab.client.networks.create(lan);
  await lab.run("one", "lan", { host: { PortBindings: { "80/tcp": [{ HostPort: "18200" }] } } });
  await lab.run("two", "lan", { endpoints: { lan: { MacAddress: "02:42:00:00:02:31" } } });
  const { NetworkSettings } = await lab.client.containers.inspect("one");
  const own = NetworkSettings.Networks["lan"];
  // The host has no ports there.
  expect([own?.IPAddress, own?.Gateway, NetworkSettings.Ports]).toEqual(["10.231.0.128", "10.231.0.2", {}]);
  expect(await neighbour.fetches("10.231.0.128", 80)).toBe("one");
  expect(await lab.fetches("two", "one")).toBe("one");
  expect((await lab.inside("one", "ip", "route")).out).toContain("default via 10.231.0.2");
  expect((await lab.inside("two", "ip", "link", "show", "eth0")).out).toContain("02:42:00:00:02:31");
  expect(links()).toEqual(before);
  await lab.clear();
  expect(await settled(before.length)).toEqual([...before]);
});

test("live connect and disconnect, and an engine that was killed", async () => {
  await lab.client.networks.create(lan);
  await lab.run("box", "bridge");
  await lab.client.networks.connect("lan", { Container: "box", EndpointConfig: { GwPriority: 1 } });
  expect(await neighbour.fetches(await lab.addressOn("box", "lan"), 80)).toBe("box");
  expect((await lab.inside("box", "ip", "route")).out).toContain("default via 10.231.0.2");
  await lab.restart("SIGKILL");
  expect(await neighbour.fetches(await lab.addressOn("box", "lan"), 80)).toBe("box");
  expect(await faultOf(lab.client.networks.remove("lan"))).toContain("network lan has active endpoints");
  await lab.client.networks.disconnect("lan", { Container: "box" });
  expect((await lab.inside("box", "ip", "addr")).out).not.toContain("10.231.0.");
  await lab.run("next", "lan");
  expect(await lab.addressOn("next", "lan")).not.toBe("");
});

test("without a parent, or internal, containers reach one another alone; patterns go with every driver", async () => {
  const before = await settled(atRest.length);
  await lab.client.networks.create({
    ...{ Name: "pattern", ConfigOnly: true, Options: { macvlan_mode: "bridge" } },
    IPAM: { Config: [{ Subnet: "10.97.0.0/24" }] },
  });
  await lab.client.networks.create({ Name: "m", Driver: "macvlan", ConfigFrom: { Network: "pattern" } });
  await lab.run("one", "m");
  await lab.run("two", "m");
  expect(await lab.fetches("two", await lab.addressOn("one", "m"))).toBe("one");
  const { NetworkSettings } = await lab.client.containers.inspect("one");
  expect([NetworkSettings.Networks["m"]?.Gateway, NetworkSettings.Networks["m"]?.IPAddress]).toEqual([
    "",
    "10.97.0.2",
  ]);
  expect((await settled(before.length + 2)).length).toBe(before.length + 2);
  await lab.clear();
  await lab.client.networks.remove("pattern");
  expect(await settled(before.length)).toEqual([...before]);
});

for (const [program, absent] of [
  ["wherry", false],
  ["docker", dockerCli === null],
] as const)
  test.skipIf(absent)(`${program} network create -d macvlan`, async () => {
    const subnets = [
      "--subnet",
      "10.98.0.0/24",
      "--subnet",
      "10.99.0.0/24",
      "--ipv6",
      "--subnet",
      "fd00:98::/64",
    ];
    const create = [
      "network",
      "create",
      "-d",
      "macvlan",
      ...subnets,
      "-o",
      "parent=lan0",
      "-o",
      "macvlan_mode=bridge",
      "m",
    ];
    const made = await lab.engine.cli(program, create);
    expect(`${made.stderr}${made.code}`).toBe("0");
    const run = [
      "run",
      "--rm",
      "--network",
      "m",
      "--ip",
      "10.99.0.7",
      "--ip6",
      "fd00:98::7",
      "busybox",
      "ip",
      "addr",
    ];
    const { stdout } = await lab.engine.cli(program, run);
    for (const address of ["10.99.0.7/24", "fd00:98::7/64"]) expect(stdout).toContain(address);
    const format = "{{.Driver}} {{.Options.parent}} {{len .IPAM.Config}}";
    expect((await lab.engine.cli(program, ["network", "inspect", "-f", format, "m"])).stdout).toBe(
      "macvlan lan0 3\n",
    );
  });
