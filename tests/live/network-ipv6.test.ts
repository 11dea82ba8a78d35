/** Networks with IPv6, with real sockets: addresses, names, isolation and published ports of both families. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { inNamespace } from "#kernel/network/netns.ts";
import { dockerCli } from "./engine-under-test.ts";
import { faultOf, NetworkLab } from "./network-lab.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());
afterEach(async () => await lab.clear());

async function address6(container: string, network: string): Promise<string> {
  const { NetworkSettings } = await lab.client.containers.inspect(container);
  return NetworkSettings.Networks[network]?.GlobalIPv6Address ?? "";
}

test("a network of both families has a unique local subnet, and containers addresses, hosts and names of both", async () => {
  await lab.client.networks.create({ Name: "six", EnableIPv6: true });
  const { EnableIPv4, EnableIPv6, IPAM } = await lab.client.networks.inspect("six");
  expect([EnableIPv4, EnableIPv6]).toEqual([true, true]);
  const [first, second] = IPAM.Config ?? [];
  expect([first?.Subnet, IPAM.Config?.length]).toEqual([expect.stringMatching(/^172\./), 2]);
  expect(second?.Subnet).toMatch(/^fd[0-9a-f:]+::\/64$/);
  const gateway = second?.Gateway ?? "";
  expect(`${gateway.slice(0, -1)}/64`).toBe(second?.Subnet ?? "");
  await lab.run("one", "six");
  await lab.run("two", "six");
  const one = await lab.client.containers.inspect("one");
  const endpoint = one.NetworkSettings.Networks["six"];
  const own = endpoint?.GlobalIPv6Address ?? "";
  expect(own).toMatch(/::2$/);
  expect([endpoint?.IPv6Gateway, endpoint?.GlobalIPv6PrefixLen]).toEqual([gateway, 64]);
  expect(await lab.fetches("two", `[${own}]`)).toBe("one");
  expect((await lab.inside("one", "cat", "/etc/hosts")).out).toContain(`${own}\t`);
  expect((await lab.inside("one", "ip", "-6", "route")).out).toContain(`default via ${gateway}`);
  expect((await lab.inside("two", "nslookup", "-type=aaaa", "one")).out).toContain(`Address: ${own}`);
  expect((await lab.inside("two", "nslookup", own)).out).toContain("name = one.six");
  const { Containers } = await lab.client.networks.inspect("six");
  expect(Containers[one.Id]?.IPv6Address).toBe(`${own}/64`);
});

test("networks are apart in IPv6 as well; published ports are open on every address of the host", async () => {
  await lab.client.networks.create({ Name: "a", EnableIPv6: true });
  await lab.client.networks.create({ Name: "b", EnableIPv6: true });
  const ports = { "80/tcp": [{ HostPort: "18090" }], "81/udp": [{ HostPort: "" }] };
  await lab.run("open", "a", { host: { PortBindings: ports } });
  await lab.run("other", "b");
  await lab.run("plain", "bridge");
  await lab.run("host", "host");
  const { NetworkSettings } = await lab.client.containers.inspect("open");
  expect(NetworkSettings.Ports["80/tcp"]).toEqual([
    { HostIp: "0.0.0.0", HostPort: "18090" },
    { HostIp: "::", HostPort: "18090" },
  ]);
  const [udp, udp6] = NetworkSettings.Ports["81/udp"] ?? [];
  expect([udp?.HostPort, udp6?.HostIp]).toEqual([udp6?.HostPort, "::"]);
  const open = await address6("open", "a");
  const gateway = (await lab.client.networks.inspect("b")).IPAM.Config?.[1]?.Gateway ?? "";
  const own = (await lab.client.networks.inspect("a")).IPAM.Config?.[1]?.Gateway ?? "";
  const reached = await Promise.all(
    [
      ["other", `[${open}]`],
      ["other", `[${gateway}]:18090`],
      ["open", `[${own}]:18090`],
      ["host", `[${own}]:18090`],
      ["host", `[${open}]`],
      ["plain", `[${open}]`],
    ].map(async ([from = "", to = ""]) => [from, to, await lab.fetches(from, to)]),
  );
  expect(reached.map(([, , answer]) => answer)).toEqual(["", "open", "open", "open", "open", ""]);
});

test("a network may have IPv6 alone, with addresses as asked", async () => {
  await lab.client.networks.create({
    Name: "only",
    EnableIPv4: false,
    EnableIPv6: true,
    IPAM: { Config: [{ Subnet: "fd00:77::/64", IPRange: "fd00:77::8:0/112", Gateway: "fd00:77::ffff" }] },
  });
  await lab.run("one", "only", { host: { PortBindings: { "80/tcp": [{ HostPort: "18091" }] } } });
  await lab.run("two", "only", {
    endpoints: { only: { IPAMConfig: { IPv6Address: "FD00:77:0::99", LinkLocalIPs: ["fe80::77"] } } },
  });
  const { Ports, Networks } = (await lab.client.containers.inspect("one")).NetworkSettings;
  expect(Ports["80/tcp"]).toEqual([{ HostIp: "::", HostPort: "18091" }]);
  expect(Networks["only"]).toMatchObject({ IPAddress: "", Gateway: "", GlobalIPv6Address: "fd00:77::8:0" });
  expect(await address6("two", "only")).toBe("fd00:77::99");
  expect(await lab.fetches("one", "[fd00:77::99]")).toBe("two");
  const shown = (await lab.inside("two", "ip", "-6", "addr", "show", "eth0")).out;
  expect(shown).toContain("fe80::77/64");
  expect(shown).not.toContain("tentative");
  const third = lab.run("three", "only", {
    endpoints: { only: { IPAMConfig: { IPv6Address: "fd00:77::99" } } },
  });
  expect(await faultOf(third)).toContain("fd00:77::99 of network only belongs to container two");
  const asked = { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "18092" }] } };
  expect(await faultOf(lab.run("four", "only", { host: asked }))).toContain(
    "the container has no IPv4 address",
  );
});

test("the default bridge has IPv6 by the engine's flags; without ip6tables it is left to others", async () => {
  await lab.restart("SIGTERM", "--ipv6", "--fixed-cidr-v6", "fd00:88::/64");
  expect(await lab.client.networks.inspect("bridge")).toMatchObject({
    EnableIPv6: true,
    IPAM: { Config: [{}, { Subnet: "fd00:88::/64", Gateway: "fd00:88::1" }] },
  });
  await lab.run("one", "bridge", { host: { PortBindings: { "80/tcp": [{ HostPort: "18093" }] } } });
  await lab.run("host", "host");
  expect(await address6("one", "bridge")).toBe("fd00:88::2");
  expect(await lab.fetches("host", "[fd00:88::1]:18093")).toBe("one");
  const forwarding = () =>
    inNamespace(lab.engine.netns, () => readFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "latin1"));
  expect(forwarding()).toBe("1\n");
  await lab.restart(
    "SIGKILL",
    "--ipv6",
    "--fixed-cidr-v6",
    "fd00:88::/64",
    "--ip6tables=false",
    "--userland-proxy=false",
  );
  expect(await lab.fetches("host", "[fd00:88::2]")).toBe("one");
  expect(await lab.fetches("host", "[fd00:88::1]:18093")).toBe("");
  await lab.clear();
  await lab.restart("SIGTERM");
  expect((await lab.client.networks.inspect("bridge")).EnableIPv6).toBe(false);
});

for (const [program, absent] of [
  ["wherry", false],
  ["docker", dockerCli === null],
] as const)
  test.skipIf(absent)(`${program}: --ipv6, --ip6, --subnet of both families`, async () => {
    const ok = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await lab.engine.cli(program, args);
      expect(`${stderr}${code}`).toBe("0");
      return stdout;
    };
    const subnets = ["--subnet", "10.91.0.0/24", "--subnet", "fd00:91::/64", "--gateway", "fd00:91::9"];
    await ok("network", "create", "--ipv6", ...subnets, "--aux-address", "r=fd00:91::1", "n");
    expect(await ok("network", "inspect", "-f", "{{.EnableIPv6}}", "n")).toBe("true\n");
    // The docker CLI keeps the subnets in a map, so that it sends them in any order.
    const config: unknown[] = JSON.parse(await ok("network", "inspect", "-f", "{{json .IPAM.Config}}", "n"));
    expect(config.map((each) => JSON.stringify(each)).sort()).toEqual([
      '{"Subnet":"10.91.0.0/24"}',
      '{"Subnet":"fd00:91::/64","Gateway":"fd00:91::9","AuxiliaryAddresses":{"r":"fd00:91::1"}}',
    ]);
    const run = [
      "run",
      "-d",
      "--name",
      "box",
      "--network",
      "n",
      "--ip6",
      "fd00:91::42",
      "-p",
      "[::]:18094:80",
    ];
    await ok(...run, "busybox", "httpd", "-f", "-h", "/");
    expect(await ok("inspect", "-f", "{{.NetworkSettings.Networks.n.GlobalIPv6Address}}", "box")).toBe(
      "fd00:91::42\n",
    );
    expect(await ok("port", "box")).toBe("80/tcp -> [::]:18094\n");
    expect(await ok("ps", "--format", "{{.Ports}}")).toBe("[::]:18094->80/tcp\n");
    expect(await ok("network", "ls", "--filter", "name=^n$", "--format", "{{.IPv6}}")).toBe("true\n");
  });
