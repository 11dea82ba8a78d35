/** Published ports, with real sockets: from everywhere, of every protocol, changed while the container runs; gateway modes. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import { dockerCli } from "./engine-under-test.ts";
import { Neighbour } from "./neighbour.ts";
import { faultOf, NetworkLab } from "./network-lab.ts";

let lab: NetworkLab;
let neighbour: Neighbour;
beforeAll(async () => {
  lab = await NetworkLab.open();
  neighbour = new Neighbour(lab.engine);
});
afterAll(async () => {
  neighbour[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});
afterEach(async () => await lab.clear());

const mode = (family: 4 | 6, value: string) => ({
  [`com.docker.network.bridge.gateway_mode_ipv${family}`]: value,
});
const onHost = (...words: string[]) => spawnSync("nsenter", [`--net=${lab.engine.netns}`, ...words]);
const portsOf = async (container: string) =>
  (await lab.client.containers.inspect(container)).NetworkSettings.Ports;
async function netnsOf(container: string): Promise<string> {
  return `/proc/${(await lab.client.containers.inspect(container)).State.Pid}/ns/net`;
}

test("UDP: from outside, the host, another container and itself; the source is kept where it can be", async () => {
  const seen: string[] = [];
  await lab.run("open", "bridge", { host: { PortBindings: { "81/udp": [{ HostPort: "18100" }] } } });
  await lab.run("other", "bridge");
  const { Gateway = "", IPAddress = "" } =
    (await lab.client.containers.inspect("other")).NetworkSettings.Networks["bridge"] ?? {};
  const place = await netnsOf("open");
  const server = await inNamespace(place, () =>
    Bun.udpSocket({
      ...{ hostname: "0.0.0.0", port: 81 },
      socket: {
        data: (socket, data, port, address) => {
          seen.push(`${data.toString()} ${address}`);
          socket.send("pong", port, address);
        },
      },
    }),
  );
  const ask = async (netns: string, word: string, address: string): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = await inNamespace(netns, () => Bun.udpSocket({ socket: { data: () => resolve(true) } }));
    const timer = setTimeout(() => resolve(false), 2000);
    socket.send(word, 18100, address);
    const answered = await promise;
    clearTimeout(timer);
    socket.close();
    return answered;
  };
  const ways: [string, string, string][] = [
    [neighbour.netns, "outside", neighbour.hostAddress],
    [lab.engine.netns, "loopback", "127.0.0.1"],
    [lab.engine.netns, "host", neighbour.hostAddress],
    [await netnsOf("other"), "other", Gateway],
    [place, "itself", Gateway],
  ];
  for (const way of ways) expect([way[1], await ask(...way)]).toEqual([way[1], true]);
  expect(seen).toContain(`outside ${neighbour.address}`);
  if (!seen.includes(`other ${IPAddress}`)) expect(seen).toContain(`other ${Gateway}`);
  server.close();
});

test("ranges: one of them for one port, each to each, and none left", async () => {
  const range = (HostPort: string) => ({ host: { PortBindings: { "80/tcp": [{ HostPort }] } } });
  await lab.run("one", "bridge", range("18110-18111"));
  await lab.run("two", "bridge", range("18110-18111"));
  const both = (HostPort: string) => ["0.0.0.0", "::"].map((HostIp) => ({ HostIp, HostPort }));
  expect((await portsOf("one"))["80/tcp"]).toEqual(both("18110"));
  expect((await portsOf("two"))["80/tcp"]).toEqual(both("18111"));
  expect(await faultOf(lab.run("three", "bridge", range("18110-18111")))).toContain(
    "Bind for 0.0.0.0:18111 failed: port is already allocated (by container two:",
  );
  expect(await neighbour.fetches(neighbour.hostAddress, 18111)).toBe("two");
  const { code, stderr } = await lab.engine.cli("wherry", [
    ...["run", "-d", "--name", "each", "-p", "127.0.0.1:18120-18122:90-92/sctp", "busybox", "sleep", "60"],
  ]);
  expect(`${stderr}${code}`).toBe("0");
  expect((await portsOf("each"))["91/sctp"]).toEqual([{ HostIp: "127.0.0.1", HostPort: "18121" }]);
  const table = inNamespace(lab.engine.netns, () => runNft("list ruleset"));
  expect(table).toMatch(/sctp \. 127\.0\.0\.1 \. 18121 : 172\.[0-9.]+ \. 91/);
  const taken = { host: { PortBindings: { "1/sctp": [{ HostPort: "18121" }] } } };
  expect(await faultOf(lab.run("five", "bridge", taken))).toContain("(by container each:");
});

test("all exposed ports are open on ports of the host of their own", async () => {
  const { code, stderr } = await lab.engine.cli("wherry", [
    ...["run", "-d", "--name", "all", "-P", "--expose", "80-81", "busybox", "httpd", "-f", "-h", "/"],
  ]);
  expect(`${stderr}${code}`).toBe("0");
  const ports = await portsOf("all");
  const [one, two] = ["80/tcp", "81/tcp"].map((key) => ports[key]?.[0]?.HostPort ?? "");
  expect([Number(one) > 0, Number(two) > 0, one !== two]).toEqual([true, true, true]);
});

describe("live", () => {
  test("ports open and close while the container runs; what stays is not touched", async () => {
    await lab.run("box", "bridge", { host: { PortBindings: { "80/tcp": [{ HostPort: "18130" }] } } });
    const update = async (...flags: string[]) => await lab.engine.cli("wherry", ["update", ...flags, "box"]);
    expect(await update("--publish-add", "18131:80", "--publish-add", "127.0.0.1:18132:80")).toMatchObject({
      code: 0,
      stdout: "box\n",
    });
    expect(await neighbour.fetches(neighbour.hostAddress, 18131)).toBe("box");
    expect(await neighbour.fetches(neighbour.hostAddress, 18132)).toBe("");
    expect((await update("--publish-rm", "18130:80")).code).toBe(0);
    expect(await neighbour.fetches(neighbour.hostAddress, 18130)).toBe("");
    expect(await neighbour.fetches(neighbour.hostAddress, 18131)).toBe("box");
    const { HostConfig } = await lab.client.containers.inspect("box");
    expect(HostConfig.PortBindings).toEqual({
      "80/tcp": [
        { HostIp: "", HostPort: "18131" },
        { HostIp: "127.0.0.1", HostPort: "18132" },
      ],
    });
    // Somebody else may have what was given up; what is taken changes nothing.
    await lab.run("next", "bridge", { host: { PortBindings: { "80/tcp": [{ HostPort: "18130" }] } } });
    const taken = await update("--publish-add", "18133:80", "--publish-add", "18130:80");
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining("(by container next:")]);
    expect(await neighbour.fetches(neighbour.hostAddress, 18133)).toBe("");
    expect((await update("--publish-rm", "18139:80")).stderr).toContain("does not publish 80/tcp at 18139");
    await lab.restart("SIGKILL");
    expect(await neighbour.fetches(neighbour.hostAddress, 18131)).toBe("box");
    await lab.client.containers.restart("box", { seconds: 0 });
    expect((await portsOf("box"))["80/tcp"]?.map(({ HostIp }) => HostIp)).toEqual([
      ...["0.0.0.0", "::", "127.0.0.1"],
    ]);
    expect((await update("--publish-rm", "80")).code).toBe(0);
    expect((await portsOf("box"))["80/tcp"]).toBeNull();
  });

  test("a stopped container has them at its next start; one without a network of its own has none", async () => {
    await lab.run("box", "bridge");
    await lab.client.containers.stop("box", { seconds: 0 });
    await lab.client.containers.update("box", { PublishAdd: { "80/tcp": [{ HostPort: "18134" }] } });
    await lab.client.containers.start("box");
    expect(await lab.fetches("box", "127.0.0.1")).toBe("box");
    expect(await neighbour.fetches(neighbour.hostAddress, 18134)).toBe("box");
    await lab.run("host", "host");
    expect(await faultOf(lab.client.containers.update("host", { PublishAdd: { "80/tcp": null } }))).toContain(
      "it shares the network of another (host)",
    );
  });

  test.skipIf(dockerCli === null)("docker port tells of what was added", async () => {
    await lab.run("box", "bridge");
    await lab.client.containers.update("box", { PublishAdd: { "80/tcp": [{ HostPort: "18135" }] } });
    expect((await lab.engine.cli("docker", ["port", "box"])).stdout).toBe(
      "80/tcp -> 0.0.0.0:18135\n80/tcp -> [::]:18135\n",
    );
  });
});

describe("gateway modes", () => {
  test("routed: published ports at the container's own address and nothing else, of either family", async () => {
    const Options = { ...mode(4, "routed"), ...mode(6, "routed") };
    const Config = [{ Subnet: "10.92.0.0/24" }, { Subnet: "fd00:92::/64" }];
    await lab.client.networks.create({ Name: "r", EnableIPv6: true, Options, IPAM: { Config } });
    await lab.run("box", "r", { host: { PortBindings: { "80/tcp": [{ HostPort: "18140" }] } } });
    expect((await portsOf("box"))["80/tcp"]).toEqual([
      { HostIp: "0.0.0.0", HostPort: "" },
      { HostIp: "::", HostPort: "" },
    ]);
    neighbour.ip("route", "add", "10.92.0.0/24", "via", neighbour.hostAddress);
    neighbour.ip("-6", "addr", "add", "fd00:231::2/64", "dev", "lan0", "nodad");
    onHost("ip", "-6", "addr", "add", "fd00:231::1/64", "dev", "lan0", "nodad");
    neighbour.ip("-6", "route", "add", "fd00:92::/64", "via", "fd00:231::1");
    expect(await neighbour.fetches("10.92.0.2", 80)).toBe("box");
    expect(await neighbour.fetches("fd00:92::2", 80)).toBe("box");
    expect(await neighbour.fetches(neighbour.hostAddress, 18140)).toBe("");
    await lab.client.containers.update("box", { PublishRm: { "80/tcp": null } });
    expect(await neighbour.fetches("10.92.0.2", 80)).toBe("");
    expect(await neighbour.fetches("fd00:92::2", 80)).toBe("");
  });

  test("nat-unprotected is open at its own address too, nat is not, and trusted interfaces may", async () => {
    const trusted = { "com.docker.network.bridge.trusted_host_interfaces": "lan0" };
    const nets = {
      open: [mode(4, "nat-unprotected"), 93],
      shut: [mode(4, "nat"), 94],
      known: [trusted, 95],
    } as const;
    for (const [Name, [Options, part]] of Object.entries(nets)) {
      await lab.client.networks.create({
        Name,
        Options,
        IPAM: { Config: [{ Subnet: `10.${part}.0.0/24` }] },
      });
      await lab.run(`in-${Name}`, Name);
      neighbour.ip("route", "add", `10.${part}.0.0/24`, "via", neighbour.hostAddress);
    }
    await lab.fetches("in-shut", "127.0.0.1");
    const reached = [93, 94, 95].map(async (part) => await neighbour.fetches(`10.${part}.0.2`, 80));
    expect(await Promise.all(reached)).toEqual(["in-open", "", "in-known"]);
  });

  test("isolated: the host has no address there; only for internal networks", async () => {
    const Options = { ...mode(4, "isolated"), ...mode(6, "isolated") };
    expect(await faultOf(lab.client.networks.create({ Name: "x", Options }))).toContain(
      "gateway mode 'isolated' can only be used for an internal network",
    );
    await lab.client.networks.create({
      Name: "i",
      Options,
      Internal: true,
      IPAM: { Config: [{ Subnet: "10.96.0.0/24" }] },
    });
    await lab.run("one", "i");
    await lab.run("two", "i");
    expect(await lab.fetches("one", await lab.addressOn("two", "i"))).toBe("two");
    expect((await lab.client.networks.inspect("i")).IPAM.Config).toEqual([{ Subnet: "10.96.0.0/24" }]);
    expect(onHost("ip", "route", "get", "10.96.0.2").stdout.toString()).not.toContain("dev wh");
  });
});

test("where ports are published by default, and the address containers leave by, are the network's options", async () => {
  await lab.client.networks.create({
    Name: "n",
    Options: {
      "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
      "com.docker.network.host_ipv4": "10.231.0.7",
    },
  });
  onHost("ip", "addr", "add", "10.231.0.7/24", "dev", "lan0");
  await lab.run("box", "n", { host: { PortBindings: { "80/tcp": [{ HostPort: "18150" }] } } });
  expect((await portsOf("box"))["80/tcp"]).toEqual([{ HostIp: "127.0.0.1", HostPort: "18150" }]);
  const { promise, resolve } = Promise.withResolvers<string>();
  const data = (_socket: unknown, _data: unknown, _port: number, address: string) => resolve(address);
  const there = await inNamespace(neighbour.netns, () =>
    Bun.udpSocket({ hostname: "0.0.0.0", port: 7000, socket: { data } }),
  );
  const place = await netnsOf("box");
  const here = await inNamespace(place, () => Bun.udpSocket({}));
  here.send("x", 7000, neighbour.address);
  expect(await promise).toBe("10.231.0.7");
  for (const socket of [here, there]) socket.close();
});
