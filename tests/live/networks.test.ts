/**
 * Networks of one's own, with real sockets: what can reach what, live changes, addresses, crashes. Through the API's client
 * and, where words matter, through the docker CLI and wherry's own.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
import { listLinks } from "#kernel/links.ts";
import { Netlink } from "#kernel/netlink.ts";
import { inNamespace } from "#kernel/netns.ts";
import type { EndpointSettings, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => {
  await engine.removeContainers();
  await client.networks.prune();
});

type Endpoints = Record<string, EndpointSettings>;

/** A container that answers its name on port 80, running. */
async function run(name: string, mode: string, o: { endpoints?: Endpoints; host?: HostConfig } = {}) {
  const command = `echo ${name} >/www/index.html; exec httpd -f -h /www`;
  const { Id } = await client.containers.create(
    {
      Image: "busybox",
      Cmd: ["sh", "-c", command],
      HostConfig: { NetworkMode: mode, ...o.host },
      ...(o.endpoints !== undefined && { NetworkingConfig: { EndpointsConfig: o.endpoints } }),
    },
    { name },
  );
  await client.containers.start(Id);
  return Id;
}

async function inside(container: string, ...Cmd: string[]): Promise<{ code: number; out: string }> {
  const exec = await client.containers.createExec(container, {
    Cmd,
    AttachStdout: true,
    AttachStderr: true,
  });
  await using stream = await client.containers.startExec(exec, { tty: false });
  const frames = new FrameDecoder();
  let out = "";
  for await (const part of stream.output)
    for (const { bytes } of frames.push(part)) out += Buffer.from(bytes).toString();
  const { ExitCode } = await client.containers.inspectExec(exec);
  return { code: ExitCode ?? -1, out };
}

/** What `from` gets from a web server; empty when it cannot be reached. */
async function fetches(from: string, address: string): Promise<string> {
  const [host = "", port = "80"] = address.split(":");
  for (let attempt = 0; ; attempt++) {
    const ask = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${host} ${port} | tail -n 1`;
    const { out } = await inside(from, "sh", "-c", ask);
    // The server may have only just been started; a wall answers with silence.
    if (!out.includes("refused") || attempt > 40) return out.includes("nc: ") ? "" : out.trim();
    await Bun.sleep(25);
  }
}

async function addressOn(container: string, network: string): Promise<string> {
  return (await client.containers.inspect(container)).NetworkSettings.Networks[network]?.IPAddress ?? "";
}

async function faultOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (thrown: unknown) => Fault.from(thrown).message,
  );
}

describe("isolation", () => {
  test("containers of one network reach one another, and nobody else's", async () => {
    await client.networks.create({ Name: "a" });
    await client.networks.create({ Name: "b" });
    await run("one", "a");
    await run("two", "a");
    await run("other", "b");
    await run("plain", "bridge");
    const one = await addressOn("one", "a");
    expect(await fetches("two", one)).toBe("one");
    const walls = [
      fetches("other", one),
      fetches("plain", one),
      fetches("one", await addressOn("plain", "bridge")),
    ];
    expect(await Promise.all(walls)).toEqual(["", "", ""]);
  });

  test("a published port is open to other networks, and to itself; an internal network to nobody", async () => {
    await client.networks.create({ Name: "a" });
    await client.networks.create({ Name: "in", Internal: true });
    const host = { PortBindings: { "80/tcp": [{ HostPort: "18080" }] } };
    await run("open", "a", { host });
    await run("plain", "bridge");
    await run("closed", "in", { host: { PortBindings: { "80/tcp": [{ HostPort: "18081" }] } } });
    const gateway = (await client.networks.inspect("bridge")).IPAM.Config?.[0]?.Gateway ?? "";
    expect(await fetches("plain", `${gateway}:18080`)).toBe("open");
    expect(await fetches("open", `${gateway}:18080`)).toBe("open");
    const { NetworkSettings } = await client.containers.inspect("closed");
    expect(NetworkSettings.Ports).toEqual({});
    expect(NetworkSettings.Networks["in"]?.Gateway).toBe("");
    expect((await inside("closed", "ip", "route")).out).not.toContain("default");
    // Even with a route of its own making it gets nowhere: it has no right to one, and no answer through the bridge.
    const inGateway = (await client.networks.inspect("in")).IPAM.Config?.[0]?.Gateway ?? "";
    expect(await fetches("closed", `${inGateway}:18080`)).toBe("");
  });

  test("without icc containers of one network do not reach one another; the host reaches them", async () => {
    await client.networks.create({ Name: "q", Options: { "com.docker.network.bridge.enable_icc": "false" } });
    await run("one", "q");
    await run("two", "q");
    await run("host", "host");
    const one = await addressOn("one", "q");
    expect(await fetches("host", one)).toBe("one");
    expect(await fetches("two", one)).toBe("");
  });
});

describe("addresses", () => {
  test("subnet, range, gateway and auxiliary addresses are kept to; a static one is had once", async () => {
    const config = {
      Subnet: "10.77.0.0/24",
      IPRange: "10.77.0.8/30",
      Gateway: "10.77.0.254",
      AuxiliaryAddresses: { router: "10.77.0.8" },
    };
    await client.networks.create({ Name: "n", IPAM: { Config: [config] } });
    expect((await client.networks.inspect("n")).IPAM.Config).toEqual([config]);
    await run("one", "n");
    expect(await addressOn("one", "n")).toBe("10.77.0.9");
    const fixed = (IPv4Address: string) => ({ endpoints: { n: { IPAMConfig: { IPv4Address } } } });
    await run("two", "n", fixed("10.77.0.99"));
    expect((await inside("two", "ip", "-4", "addr", "show", "eth0")).out).toContain("10.77.0.99/24");
    expect((await inside("two", "ip", "route")).out).toContain("default via 10.77.0.254");
    expect(await faultOf(run("three", "n", fixed("10.77.0.99")))).toContain(
      "Address already in use: 10.77.0.99 of network n belongs to container two",
    );
    expect(await faultOf(run("four", "n", fixed("10.77.0.254")))).toContain("belongs to its gateway");
    await run("five", "n");
    await run("six", "n");
    expect(await faultOf(run("seven", "n"))).toContain(
      "no available IPv4 addresses on this network's address pools: n (",
    );
    await client.containers.remove("one", { force: true });
    await client.containers.stop("six", { seconds: 0 });
    await run("eight", "n");
    expect(await addressOn("eight", "n")).toBe("10.77.0.9");
    await client.containers.start("six");
    expect(await addressOn("six", "n")).toBe("10.77.0.11");
  });

  test("a MAC address, link-local addresses, an MTU and endpoint options are as asked", async () => {
    await client.networks.create({
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
    await run("one", "n", { endpoints: { n: settings } });
    const shown = (await inside("one", "ip", "addr", "show", "net0")).out;
    for (const part of ["mtu 1400", "02:42:00:00:00:77", "169.254.7.7/16"]) expect(shown).toContain(part);
    expect((await inside("one", "cat", "/proc/sys/net/ipv4/conf/net0/log_martians")).out).toBe("1\n");
    expect((await client.containers.inspect("one")).NetworkSettings.Networks["n"]).toMatchObject({
      MacAddress: "02:42:00:00:00:77",
      DriverOpts: settings.DriverOpts,
    });
  });

  test("leases outlive a crash, and are given back with their containers", async () => {
    await client.networks.create({ Name: "n", IPAM: { Config: [{ Subnet: "10.77.1.0/29" }] } });
    for (const name of ["one", "two", "three", "four", "five"]) await run(name, "n");
    await client.containers.stop("three", { seconds: 0 });
    await engine.stop("SIGKILL");
    await engine.start();
    client = await engine.client();
    expect(await addressOn("one", "n")).toBe("10.77.1.2");
    expect(await fetches("two", "10.77.1.2")).toBe("one");
    await client.containers.start("three");
    expect(await addressOn("three", "n")).toBe("10.77.1.4");
    expect(await faultOf(run("six", "n"))).toContain("all 6 of 10.77.1.0/29 are taken");
  });
});

describe("several networks", () => {
  test("from the start: interfaces, ways out by priority, names of both", async () => {
    await client.networks.create({ Name: "a" });
    await client.networks.create({ Name: "b" });
    await client.networks.create({ Name: "in", Internal: true });
    const endpoints = { in: {}, a: { Aliases: ["web"] }, b: { GwPriority: 5 } };
    await run("one", "a", { endpoints });
    const { NetworkSettings, HostConfig } = await client.containers.inspect("one");
    expect(Object.keys(NetworkSettings.Networks).sort()).toEqual(["a", "b", "in"]);
    expect(HostConfig.NetworkMode).toBe("a");
    expect(NetworkSettings.Networks["a"]).toMatchObject({
      Aliases: ["web"],
      DNSNames: ["one", "web", expect.stringMatching(/^[0-9a-f]{12}$/)],
    });
    const gateway = NetworkSettings.Networks["b"]?.Gateway ?? "nothing";
    expect((await inside("one", "ip", "route")).out).toContain(`default via ${gateway}`);
    const hosts = (await inside("one", "cat", "/etc/hosts")).out;
    for (const name of ["a", "b", "in"])
      expect(hosts).toContain(`${NetworkSettings.Networks[name]?.IPAddress}\t`);
    expect((await client.containers.list({ filters: { network: ["b"] } })).length).toBe(1);
  });

  test("live: connect and disconnect, the way out and the ports move with it", async () => {
    await client.networks.create({ Name: "a" });
    await client.networks.create({ Name: "b" });
    await run("one", "a", { host: { PortBindings: { "80/tcp": [{ HostPort: "18083" }] } } });
    await run("two", "b");
    await client.networks.connect("b", { Container: "one", EndpointConfig: { GwPriority: 1 } });
    const { Networks } = (await client.containers.inspect("one")).NetworkSettings;
    expect(await fetches("two", Networks["b"]?.IPAddress ?? "")).toBe("one");
    expect((await inside("one", "ip", "route")).out).toContain(`default via ${Networks["b"]?.Gateway}`);
    expect((await inside("one", "cat", "/etc/hosts")).out).toContain(`${Networks["b"]?.IPAddress}\t`);
    expect(await faultOf(client.networks.connect("b", { Container: "one" }))).toContain(
      "endpoint with name one already exists in network b",
    );
    expect(await faultOf(client.networks.remove("b"))).toContain("network b has active endpoints");
    await client.networks.disconnect("b", { Container: "one" });
    expect((await inside("one", "ip", "route")).out).toContain(`default via ${Networks["a"]?.Gateway}`);
    expect((await inside("one", "cat", "/etc/hosts")).out).not.toContain(`${Networks["b"]?.IPAddress}\t`);
    expect(await fetches("two", `${Networks["b"]?.Gateway}:18083`)).toBe("one");
    expect(await faultOf(client.networks.disconnect("b", { Container: "one" }))).toMatch(
      /^container [0-9a-f]{64} is not connected to network b$/,
    );
    await client.networks.disconnect("a", { Container: "one" });
    expect((await client.containers.inspect("one")).NetworkSettings).toMatchObject({
      Networks: {},
      Ports: {},
    });
    expect((await inside("one", "ip", "-4", "addr")).out).not.toContain("eth");
    await client.networks.connect("bridge", { Container: "one" });
    expect((await client.containers.inspect("one")).NetworkSettings.Ports["80/tcp"]).toHaveLength(1);
  });

  test("a stopped container is connected for its next start", async () => {
    await client.networks.create({ Name: "a" });
    await client.networks.create({ Name: "b" });
    await run("one", "a");
    await client.containers.stop("one", { seconds: 0 });
    await client.networks.connect("b", { Container: "one", EndpointConfig: { Aliases: ["x"] } });
    await client.networks.disconnect("a", { Container: "one" });
    await client.containers.start("one");
    const { Networks } = (await client.containers.inspect("one")).NetworkSettings;
    expect(Object.keys(Networks)).toEqual(["b"]);
    expect(Networks["b"]).toMatchObject({ Aliases: ["x"], IPAddress: expect.stringMatching(/^172\./) });
    await client.containers.stop("one", { seconds: 0 });
    await client.networks.remove("b");
    expect(await faultOf(client.containers.start("one"))).toContain("network b not found");
  });

  test("host, none and shared networks keep to themselves", async () => {
    await client.networks.create({ Name: "a" });
    await run("owner", "bridge");
    const mode = async (name: string, NetworkMode: string) => {
      const body = { Image: "busybox", Cmd: ["sleep", "100"], HostConfig: { NetworkMode } };
      const { Id } = await client.containers.create(body, { name });
      await client.containers.start(Id);
    };
    await mode("host", "host");
    await mode("none", "none");
    await mode("shared", "container:owner");
    const connect = (Container: string) => faultOf(client.networks.connect("a", { Container }));
    expect(await connect("host")).toContain(
      "container sharing network namespace with another container or host",
    );
    expect(await connect("shared")).toContain("container sharing network namespace with another container");
    expect(await connect("none")).toContain("one of the networks in private (none) mode");
    expect(await faultOf(client.networks.connect("host", { Container: "owner" }))).toContain(
      "container cannot be disconnected from host network or connected to host network",
    );
    await client.networks.disconnect("none", { Container: "none" });
    expect(await connect("none")).toBe("");
    expect((await inside("none", "ip", "-4", "addr", "show", "eth0")).out).toContain("inet 172.");
    expect(Object.keys((await client.networks.inspect("host")).Containers)).toHaveLength(1);
  });
});

describe("what cannot be is said", () => {
  const config = (...Config: object[]) => ({ IPAM: { Config } });
  const cases: [string, object, string][] = [
    ["no name", { Name: " " }, "invalid name:  "],
    ["a predefined name", { Name: "host" }, "operation is not permitted on predefined host network "],
    ["a second host network", { Driver: "host" }, 'only one instance of "host" network is allowed'],
    ["an unknown driver", { Driver: "nosuch" }, 'plugin "nosuch" not found'],
    ["macvlan", { Driver: "macvlan" }, "the network driver macvlan is not supported by this engine yet"],
    ["overlay", { Driver: "overlay" }, "This node is not a swarm manager."],
    ["IPv6", { EnableIPv6: true }, "IPv6 on networks is not supported by this engine yet"],
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
      "an option of Docker's that is not there",
      { Options: { "com.docker.network.bridge.gateway_mode_ipv4": "routed" } },
      "the gateway mode routed is not supported",
    ],
    [
      "the bridge of another network",
      { Options: { "com.docker.network.bridge.name": "wherrybr0" } },
      "networks have same bridge name",
    ],
    ["another network's subnet", config({ Subnet: "10.78.0.128/25" }), "Pool overlaps with other one"],
  ];

  test("of networks", async () => {
    await client.networks.create({
      Name: "first",
      ...config({ Subnet: "10.78.0.0/24" }),
      Options: { "com.docker.network.bridge.name": "wherrybr0" },
    });
    for (const [what, body, message] of cases)
      expect([what, await faultOf(client.networks.create({ Name: "n", ...body }))]).toEqual([
        what,
        expect.stringContaining(message),
      ]);
    expect(await faultOf(client.networks.create({ Name: "first" }))).toBe(
      "network with name first already exists",
    );
    expect(await faultOf(client.networks.remove("nosuch"))).toBe("network nosuch not found");
    expect(await faultOf(client.networks.remove("bridge"))).toBe(
      "bridge is a pre-defined network and cannot be removed",
    );
    expect((await client.networks.list()).map(({ Name }) => Name).sort()).toEqual([
      "bridge",
      "first",
      "host",
      "none",
    ]);
  });

  test("of endpoints", async () => {
    await client.networks.create({ Name: "n" });
    const create = async (mode: string, endpoints: Endpoints) =>
      await faultOf(
        client.containers.create({
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
    expect(await faultOf(run("one", "nosuch"))).toContain("network nosuch not found");
  });

  test("of pools: who is in the way", async () => {
    await engine.stop();
    await engine.start("--default-address-pool", "base=10.80.0.0/23,size=24");
    client = await engine.client();
    await client.networks.create({ Name: "one" });
    await client.networks.create({ Name: "two" });
    expect(await faultOf(client.networks.create({ Name: "three" }))).toContain(
      "all predefined address pools have been fully subnetted: network one has 10.80.0.0/24, network two has 10.80.1.0/24: remove networks",
    );
    await engine.stop();
    await engine.start();
    client = await engine.client();
  });
});

test("patterns: a configuration network gives its settings, and stays while it is used", async () => {
  await client.networks.create({
    Name: "pattern",
    ConfigOnly: true,
    IPAM: { Config: [{ Subnet: "10.79.0.0/24" }] },
    Labels: { a: "b" },
  });
  await client.networks.create({ Name: "n", ConfigFrom: { Network: "pattern" } });
  expect(await client.networks.inspect("pattern")).toMatchObject({ Driver: "null", ConfigOnly: true });
  expect(await client.networks.inspect("n")).toMatchObject({
    Driver: "bridge",
    ConfigFrom: { Network: "pattern" },
    IPAM: { Config: [{ Subnet: "10.79.0.0/24" }] },
    Labels: { a: "b" },
  });
  expect(await faultOf(client.networks.remove("pattern"))).toContain(
    'configuration network "pattern" is in use',
  );
  expect(await faultOf(run("one", "pattern"))).toContain("configuration-only network pattern cannot be used");
  await client.networks.remove("n");
  await client.networks.remove("pattern");
});

test("events tell of networks and of who comes and goes; nothing is left of them", async () => {
  const links = () =>
    inNamespace(engine.netns, () => {
      using netlink = new Netlink();
      return listLinks(netlink).map(({ name }) => name);
    });
  const before = links();
  const since = String(Date.now() / 1000);
  const { Id } = await client.networks.create({ Name: "n", Labels: { keep: "no" } });
  const container = await run("one", "n");
  await client.networks.connect("bridge", { Container: "one" });
  await client.containers.remove("one", { force: true });
  expect(await client.networks.prune({ label: ["keep=yes"] })).toEqual({ NetworksDeleted: null });
  expect(await client.networks.prune({ label: ["keep=no"] })).toEqual({ NetworksDeleted: ["n"] });
  const seen: string[] = [];
  const until = String(Date.now() / 1000);
  for await (const { Type, Action, Actor } of client.events({ since, until }))
    if (Type === "network" && Action !== "prune")
      seen.push(
        `${Action} ${Actor.Attributes["name"]} ${Actor.ID === Id} ${Actor.Attributes["container"] ?? ""}`,
      );
  expect(seen).toEqual([
    "create n true ",
    `connect n true ${container}`,
    `connect bridge false ${container}`,
    `disconnect n true ${container}`,
    `disconnect bridge false ${container}`,
    "destroy n true ",
  ]);
  for (let attempt = 0; links().length !== before.length && attempt < 40; attempt++) await Bun.sleep(25);
  expect(links()).toEqual(before);
  expect(engine.leaks()).toEqual([]);
});

const programs = [
  ["wherry", false],
  // Debian has no docker CLI of this age; where none is installed, wherry's own goes the same way.
  ["docker", dockerCli === null],
] as const;
for (const [program, absent] of programs)
  test.skipIf(absent)(
    `${program} run: several networks, addresses, aliases, fields of --network`,
    async () => {
      await client.networks.create({ Name: "front", IPAM: { Config: [{ Subnet: "10.83.0.0/24" }] } });
      await client.networks.create({ Name: "back", IPAM: { Config: [{ Subnet: "10.84.0.0/24" }] } });
      const flags = ["--ip", "10.83.0.50", "--network-alias", "web", "--mac-address", "02:42:00:00:00:50"];
      const back =
        "name=back,alias=db,ip=10.84.0.60,gw-priority=5,driver-opt=com.docker.network.endpoint.ifname=data0";
      const local = ["--link-local-ip", "169.254.1.2"];
      const networks = ["--network", "front", ...flags, ...local, "--network", back];
      const script = "ip addr; ip route";
      const { code, stdout, stderr } = await engine.cli(program, [
        ...["run", "--name", "box", ...networks, "busybox", "sh", "-c", script],
      ]);
      expect(`${stderr}${code}`).toBe("0");
      for (const part of ["10.83.0.50/24", "02:42:00:00:00:50", "169.254.1.2/16", "10.84.0.60/24"])
        expect(stdout).toContain(part);
      expect(stdout).toContain("default via 10.84.0.1 dev data0");
      const { Networks } = (await client.containers.inspect("box")).NetworkSettings;
      expect(Networks).toMatchObject({
        front: { Aliases: ["web"], IPAMConfig: { IPv4Address: "10.83.0.50", LinkLocalIPs: ["169.254.1.2"] } },
        back: { Aliases: ["db"], GwPriority: 5 },
      });
      const twice = await engine.cli(program, [
        "run",
        "--rm",
        "--network",
        "front",
        "--ip",
        "10.84.0.1",
        "busybox",
      ]);
      expect([twice.code, twice.stderr]).toEqual([
        125,
        expect.stringContaining("no configured subnet or ip-range contain the IP address 10.84.0.1"),
      ]);
    },
  );

for (const [program, absent] of programs)
  test.skipIf(absent)(`${program} network: create, ls, inspect, connect, disconnect, rm, prune`, async () => {
    const ok = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await engine.cli(program, args);
      expect(`${stderr}${code}`).toBe("0");
      return stdout;
    };
    const subnet = ["--subnet", "10.81.0.0/24", "--gateway", "10.81.0.9", "--aux-address", "r=10.81.0.5"];
    const id = await ok("network", "create", ...subnet, "--label", "x=1", "--internal", "n");
    expect(id).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await ok("network", "ls", "--filter", "type=custom")).toMatch(
      /^NETWORK ID +NAME +DRIVER +SCOPE\n[0-9a-f]{12} +n +bridge +local\n$/,
    );
    expect(await ok("network", "ls", "-q", "--no-trunc", "--filter", "name=^n$")).toBe(id);
    expect(
      await ok("network", "inspect", "-f", "{{json .IPAM.Config}} {{.Internal}} {{.Labels.x}}", "n"),
    ).toBe(
      '[{"Subnet":"10.81.0.0/24","Gateway":"10.81.0.9","AuxiliaryAddresses":{"r":"10.81.0.5"}}] true 1\n',
    );
    await ok("network", "create", "m");
    await ok("run", "-d", "--name", "box", "--network", "n", "--ip", "10.81.0.77", "busybox", "sleep", "100");
    await ok("network", "connect", "--alias", "web", "m", "box");
    expect((await ok("ps", "--format", "{{.Networks}}")).trim().split(",").sort()).toEqual(["m", "n"]);
    expect(await ok("inspect", "-f", "{{.NetworkSettings.Networks.n.IPAddress}}", "box")).toBe(
      "10.81.0.77\n",
    );
    const busy = await engine.cli(program, ["network", "rm", "n", "nosuch"]);
    expect(busy.code).toBe(1);
    expect(busy.stderr).toContain("network n has active endpoints");
    expect(busy.stderr).toContain("network nosuch not found");
    await ok("network", "disconnect", "n", "box");
    expect(await ok("network", "rm", "n")).toBe("n\n");
    await ok("rm", "-f", "box");
    const question =
      "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue? [y/N] ";
    const prune = async (input: string) => await engine.cli(program, ["network", "prune"], { input });
    expect(await prune("n\n")).toEqual({ code: 0, stdout: question, stderr: "" });
    expect(await prune("y\n")).toEqual({
      code: 0,
      stdout: `${question}Deleted Networks:\nm\n\n`,
      stderr: "",
    });
  });
