/** Networks of one's own, with real sockets: what can reach what, live changes, events. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { listLinks } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { faultOf, NetworkLab } from "./network-lab.ts";
import { until } from "./told.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());
afterEach(async () => await lab.clear());

describe("isolation", () => {
  test("containers of one network reach one another, and nobody else's", async () => {
    await lab.client.networks.create({ Name: "a" });
    await lab.client.networks.create({ Name: "b" });
    await lab.run("one", "a");
    await lab.run("two", "a");
    await lab.run("other", "b");
    await lab.run("plain", "bridge");
    const one = await lab.addressOn("one", "a");
    expect(await lab.fetches("two", one)).toBe("one");
    const walls = [
      lab.fetches("other", one),
      lab.fetches("plain", one),
      lab.fetches("one", await lab.addressOn("plain", "bridge")),
    ];
    expect(await Promise.all(walls)).toEqual(["", "", ""]);
  });

  test("a published port is open to other networks, and to itself; an internal network to nobody", async () => {
    await lab.client.networks.create({ Name: "a" });
    await lab.client.networks.create({ Name: "in", Internal: true });
    const host = { PortBindings: { "80/tcp": [{ HostPort: "18080" }] } };
    await lab.run("open", "a", { host });
    await lab.run("plain", "bridge");
    await lab.run("closed", "in", { host: { PortBindings: { "80/tcp": [{ HostPort: "18081" }] } } });
    const gateway = (await lab.client.networks.inspect("bridge")).IPAM.Config?.[0]?.Gateway ?? "";
    expect(await lab.fetches("plain", `${gateway}:18080`)).toBe("open");
    expect(await lab.fetches("open", `${gateway}:18080`)).toBe("open");
    const { NetworkSettings } = await lab.client.containers.inspect("closed");
    expect(NetworkSettings.Ports).toEqual({});
    expect(NetworkSettings.Networks["in"]?.Gateway).toBe("");
    expect((await lab.inside("closed", "ip", "route")).out).not.toContain("default");
    // Even with a route of its own making it gets nowhere: it has no right to one, and no answer through the bridge.
    const inGateway = (await lab.client.networks.inspect("in")).IPAM.Config?.[0]?.Gateway ?? "";
    expect(await lab.fetches("closed", `${inGateway}:18080`)).toBe("");
  });

  test("without icc containers of one network do not reach one another; the host reaches them", async () => {
    await lab.client.networks.create({
      Name: "q",
      Options: { "com.docker.network.bridge.enable_icc": "false" },
    });
    await lab.run("one", "q");
    await lab.run("two", "q");
    await lab.run("host", "host");
    const one = await lab.addressOn("one", "q");
    expect(await lab.fetches("host", one)).toBe("one");
    expect(await lab.fetches("two", one)).toBe("");
  });
});
describe("several networks", () => {
  test("from the start: interfaces, ways out by priority, names of both", async () => {
    await lab.client.networks.create({ Name: "a" });
    await lab.client.networks.create({ Name: "b" });
    await lab.client.networks.create({ Name: "in", Internal: true });
    const endpoints = { in: {}, a: { Aliases: ["web"] }, b: { GwPriority: 5 } };
    await lab.run("one", "a", { endpoints });
    const { NetworkSettings, HostConfig } = await lab.client.containers.inspect("one");
    expect(Object.keys(NetworkSettings.Networks).sort()).toEqual(["a", "b", "in"]);
    expect(HostConfig.NetworkMode).toBe("a");
    expect(NetworkSettings.Networks["a"]).toMatchObject({
      Aliases: ["web"],
      DNSNames: ["one", "web", expect.stringMatching(/^[0-9a-f]{12}$/)],
    });
    const gateway = NetworkSettings.Networks["b"]?.Gateway ?? "nothing";
    expect((await lab.inside("one", "ip", "route")).out).toContain(`default via ${gateway}`);
    const hosts = (await lab.inside("one", "cat", "/etc/hosts")).out;
    for (const name of ["a", "b", "in"])
      expect(hosts).toContain(`${NetworkSettings.Networks[name]?.IPAddress}\t`);
    expect((await lab.client.containers.list({ filters: { network: ["b"] } })).length).toBe(1);
  });

  test("live: connect and disconnect, the way out and the ports move with it", async () => {
    await lab.client.networks.create({ Name: "a" });
    await lab.client.networks.create({ Name: "b" });
    await lab.run("one", "a", { host: { PortBindings: { "80/tcp": [{ HostPort: "18083" }] } } });
    await lab.run("two", "b");
    await lab.client.networks.connect("b", { Container: "one", EndpointConfig: { GwPriority: 1 } });
    const { Networks } = (await lab.client.containers.inspect("one")).NetworkSettings;
    expect(await lab.fetches("two", Networks["b"]?.IPAddress ?? "")).toBe("one");
    expect((await lab.inside("one", "ip", "route")).out).toContain(`default via ${Networks["b"]?.Gateway}`);
    expect((await lab.inside("one", "cat", "/etc/hosts")).out).toContain(`${Networks["b"]?.IPAddress}\t`);
    expect(await faultOf(lab.client.networks.connect("b", { Container: "one" }))).toContain(
      "endpoint with name one already exists in network b",
    );
    expect(await faultOf(lab.client.networks.remove("b"))).toContain("network b has active endpoints");
    await lab.client.networks.disconnect("b", { Container: "one" });
    expect((await lab.inside("one", "ip", "route")).out).toContain(`default via ${Networks["a"]?.Gateway}`);
    expect((await lab.inside("one", "cat", "/etc/hosts")).out).not.toContain(`${Networks["b"]?.IPAddress}\t`);
    expect(await lab.fetches("two", `${Networks["b"]?.Gateway}:18083`)).toBe("one");
    expect(await faultOf(lab.client.networks.disconnect("b", { Container: "one" }))).toMatch(
      /^container [0-9a-f]{64} is not connected to network b$/,
    );
    await lab.client.networks.disconnect("a", { Container: "one" });
    expect((await lab.client.containers.inspect("one")).NetworkSettings).toMatchObject({
      Networks: {},
      Ports: {},
    });
    expect((await lab.inside("one", "ip", "-4", "addr")).out).not.toContain("eth");
    await lab.client.networks.connect("bridge", { Container: "one" });
    const { Ports } = (await lab.client.containers.inspect("one")).NetworkSettings;
    expect(Ports["80/tcp"]).toEqual(["0.0.0.0", "::"].map((HostIp) => ({ HostIp, HostPort: "18083" })));
  });

  test("a stopped container is connected for its next start", async () => {
    await lab.client.networks.create({ Name: "a" });
    await lab.client.networks.create({ Name: "b" });
    await lab.run("one", "a");
    await lab.client.containers.stop("one", { seconds: 0 });
    await lab.client.networks.connect("b", { Container: "one", EndpointConfig: { Aliases: ["x"] } });
    await lab.client.networks.disconnect("a", { Container: "one" });
    await lab.client.containers.start("one");
    const { Networks } = (await lab.client.containers.inspect("one")).NetworkSettings;
    expect(Object.keys(Networks)).toEqual(["b"]);
    expect(Networks["b"]).toMatchObject({ Aliases: ["x"], IPAddress: expect.stringMatching(/^172\./) });
    await lab.client.containers.stop("one", { seconds: 0 });
    await lab.client.networks.remove("b");
    expect(await faultOf(lab.client.containers.start("one"))).toContain("network b not found");
  });

  test("host, none and shared networks keep to themselves", async () => {
    await lab.client.networks.create({ Name: "a" });
    await lab.run("owner", "bridge");
    const mode = async (name: string, NetworkMode: string) => {
      const body = { Image: "busybox", Cmd: ["sleep", "100"], HostConfig: { NetworkMode } };
      const { Id } = await lab.client.containers.create(body, { name });
      await lab.client.containers.start(Id);
    };
    await mode("host", "host");
    await mode("none", "none");
    await mode("shared", "container:owner");
    const connect = (Container: string) => faultOf(lab.client.networks.connect("a", { Container }));
    expect(await connect("host")).toContain(
      "container sharing network namespace with another container or host",
    );
    expect(await connect("shared")).toContain("container sharing network namespace with another container");
    expect(await connect("none")).toContain("one of the networks in private (none) mode");
    expect(await faultOf(lab.client.networks.connect("host", { Container: "owner" }))).toContain(
      "container cannot be disconnected from host network or connected to host network",
    );
    await lab.client.networks.disconnect("none", { Container: "none" });
    expect(await connect("none")).toBe("");
    expect((await lab.inside("none", "ip", "-4", "addr", "show", "eth0")).out).toContain("inet 172.");
    expect(Object.keys((await lab.client.networks.inspect("host")).Containers)).toHaveLength(1);
  });
});
test("patterns: a configuration network gives its settings, and stays while it is used", async () => {
  await lab.client.networks.create({
    Name: "pattern",
    ConfigOnly: true,
    IPAM: { Config: [{ Subnet: "10.79.0.0/24" }] },
    Labels: { a: "b" },
  });
  await lab.client.networks.create({ Name: "n", ConfigFrom: { Network: "pattern" } });
  expect(await lab.client.networks.inspect("pattern")).toMatchObject({ Driver: "null", ConfigOnly: true });
  expect(await lab.client.networks.inspect("n")).toMatchObject({
    Driver: "bridge",
    ConfigFrom: { Network: "pattern" },
    IPAM: { Config: [{ Subnet: "10.79.0.0/24" }] },
    Labels: { a: "b" },
  });
  expect(await faultOf(lab.client.networks.remove("pattern"))).toContain(
    'configuration network "pattern" is in use',
  );
  expect(await faultOf(lab.run("one", "pattern"))).toContain(
    "configuration-only network pattern cannot be used",
  );
  await lab.client.networks.remove("n");
  await lab.client.networks.remove("pattern");
});

test("events tell of networks and of who comes and goes; nothing is left of them", async () => {
  const links = () =>
    inNamespace(lab.engine.netns, () => {
      using netlink = new Netlink();
      return listLinks(netlink).map(({ name }) => name);
    });
  const settled = async () => {
    await until(() => !links().some((name) => name.startsWith("wv")));
    return links();
  };
  const before = await settled();
  const since = String(Date.now() / 1000);
  const { Id } = await lab.client.networks.create({ Name: "n", Labels: { keep: "no" } });
  const container = await lab.run("one", "n");
  await lab.client.networks.connect("bridge", { Container: "one" });
  await lab.client.containers.remove("one", { force: true });
  expect(await lab.client.networks.prune({ label: ["keep=yes"] })).toEqual({ NetworksDeleted: null });
  expect(await lab.client.networks.prune({ label: ["keep=no"] })).toEqual({ NetworksDeleted: ["n"] });
  const seen: string[] = [];
  // The engine counts nanoseconds, this clock whole milliseconds.
  const to = String((Date.now() + 1) / 1000);
  for await (const { Type, Action, Actor } of lab.client.events({ since, until: to }))
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
  expect(await settled()).toEqual(before);
  expect(await lab.engine.leaks()).toEqual([]);
});
