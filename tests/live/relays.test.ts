/** Ports of IPv6 that lead to containers with IPv4 only, and those of `::1`: Docker's userland proxy, with real sockets. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { inNamespace } from "#kernel/network/netns.ts";
import type { HostConfig } from "#spec/container.ts";
import { dockerCli } from "./engine-under-test.ts";
import { fetchesFrom, Neighbour } from "./neighbour.ts";
import { faultOf, NetworkLab } from "./network-lab.ts";
import { until } from "./told.ts";

let lab: NetworkLab;
let neighbour: Neighbour;
const outer = "fd00:231::1";
beforeAll(async () => {
  lab = await NetworkLab.open();
  neighbour = new Neighbour(lab.engine);
  neighbour.ip("-6", "addr", "add", "fd00:231::2/64", "dev", "lan0", "nodad");
  onHost("ip", "-6", "addr", "add", `${outer}/64`, "dev", "lan0", "nodad");
});
afterAll(async () => {
  neighbour[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});
afterEach(async () => await lab.clear());

const onHost = (...words: string[]) => spawnSync("nsenter", [`--net=${lab.engine.netns}`, ...words]);
const binding = (HostIp: string, HostPort: string, key = "80/tcp"): HostConfig => ({
  PortBindings: { [key]: [{ HostIp, HostPort }] },
});
const fromHost = async (address: string, port: number) => await fetchesFrom(lab.engine.netns, address, port);
/** A web server that was only just started answers soon. */
const answers = async (address: string, port: number, name: string) =>
  await until(async () => (await fromHost(address, port)) === name, `${name} answers`);

test("a port is open on every address of both families, or on ::1 alone, and closes with its container", async () => {
  await lab.run("all", "bridge", { host: binding("", "18200") });
  await lab.run("own", "bridge", { host: binding("::1", "18201") });
  const ports = async (name: string) => (await lab.client.containers.inspect(name)).NetworkSettings.Ports;
  expect((await ports("all"))["80/tcp"]).toEqual([
    { HostIp: "0.0.0.0", HostPort: "18200" },
    { HostIp: "::", HostPort: "18200" },
  ]);
  expect((await ports("own"))["80/tcp"]).toEqual([{ HostIp: "::1", HostPort: "18201" }]);
  await answers("::1", 18200, "all");
  await answers("::1", 18201, "own");
  expect(await neighbour.fetches(outer, 18200)).toBe("all");
  expect(await neighbour.fetches(outer, 18201)).toBe("");
  expect(await fromHost("127.0.0.1", 18201)).toBe("");
  expect(await faultOf(lab.run("late", "bridge", { host: binding("::1", "18200") }))).toContain(
    "Bind for [::1]:18200 failed: port is already allocated (by container all:",
  );
  for (let again = 0; again < 3; again++) await lab.client.containers.restart("all", { seconds: 0 });
  await answers("::1", 18200, "all");
  await lab.client.containers.stop("all", { seconds: 0 });
  expect(await fromHost("::1", 18200)).toBe("");
  expect(await faultOf(lab.run("sctp", "bridge", { host: binding("::1", "18202", "80/sctp") }))).toContain(
    "the port 80/sctp cannot be published on ::1: the container has no IPv6 address",
  );
});

test("::1 leads to containers with IPv6 as well", async () => {
  await lab.client.networks.create({ Name: "six", EnableIPv6: true });
  await lab.run("box", "six", { host: binding("", "18210") });
  await answers("::1", 18210, "box");
  expect(await neighbour.fetches(outer, 18210)).toBe("box");
  await lab.client.networks.create({ Name: "only", EnableIPv4: false, EnableIPv6: true });
  await lab.run("lone", "only", { host: binding("::", "18211") });
  await answers("::1", 18211, "lone");
});

test("UDP: every asker has an answer of its own, from outside and from ::1", async () => {
  await lab.run("box", "bridge", { host: binding("", "18220", "81/udp") });
  const { Pid } = (await lab.client.containers.inspect("box")).State;
  const server = await inNamespace(`/proc/${Pid}/ns/net`, () =>
    Bun.udpSocket({
      ...{ hostname: "0.0.0.0", port: 81 },
      socket: { data: (socket, data, port, address) => void socket.send(`${data}!`, port, address) },
    }),
  );
  const ask = async (netns: string, word: string, address: string): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = await inNamespace(netns, () =>
      Bun.udpSocket({ hostname: "::", socket: { data: (_, data) => resolve(data.toString()) } }),
    );
    socket.send(word, 18220, address);
    const answer = await promise;
    socket.close();
    return answer;
  };
  const asked = ["one", "two", "three"].map(async (word) => await ask(lab.engine.netns, word, "::1"));
  expect(await Promise.all(asked)).toEqual(["one!", "two!", "three!"]);
  expect(await ask(neighbour.netns, "out", outer)).toBe("out!");
  server.close();
});

test("containers of internal networks come in by no relay, those of others do", async () => {
  for (const [Name, Internal] of [
    ["shut", true],
    ["open", false],
  ] as const)
    await lab.client.networks.create({ Name, Internal, EnableIPv6: true });
  await lab.run("web", "bridge", { host: binding("", "18230") });
  await lab.run("web2", "bridge", { host: binding(outer, "18231") });
  await answers("::1", 18230, "web");
  await answers(outer, 18231, "web2");
  const gateway = async (name: string) =>
    (await lab.client.networks.inspect(name)).IPAM.Config?.[1]?.Gateway ?? "";
  await lab.run("in-shut", "shut");
  await lab.run("in-open", "open");
  expect(await lab.fetches("in-open", `[${await gateway("open")}]:18230`)).toBe("web");
  expect(await lab.fetches("in-open", `[${outer}]:18231`)).toBe("web2");
  expect(await lab.fetches("in-shut", `[${await gateway("shut")}]:18230`)).toBe("");
});

test("what changes while the container runs changes there too", async () => {
  await lab.run("box", "bridge", { host: binding("::1", "18240") });
  await answers("::1", 18240, "box");
  await lab.client.containers.update("box", {
    PublishAdd: { "80/tcp": [{ HostIp: "::1", HostPort: "18241" }] },
    PublishRm: { "80/tcp": [{ HostIp: "::1", HostPort: "18240" }] },
  });
  await answers("::1", 18241, "box");
  expect(await fromHost("::1", 18240)).toBe("");
  await lab.run("next", "bridge", { host: binding("::1", "18240") });
  // Another way out is another address to lead to.
  await lab.client.networks.create({ Name: "n" });
  const before = await lab.addressOn("box", "bridge");
  await lab.client.networks.connect("n", { Container: "box", EndpointConfig: { GwPriority: 9 } });
  await lab.client.networks.disconnect("bridge", { Container: "box" });
  expect((await lab.inside("box", "ip", "addr")).out).not.toContain(before);
  await answers("::1", 18241, "box");
  await answers("::1", 18240, "next");
});

test("an engine that was killed opens them again; without the proxy only the kernel leads", async () => {
  await lab.run("box", "bridge", { host: binding("", "18250") });
  await answers("::1", 18250, "box");
  await lab.restart("SIGKILL");
  await answers("::1", 18250, "box");
  await lab.restart("SIGTERM", "--userland-proxy=false");
  expect(await fromHost("::1", 18250)).toBe("");
  expect(await fromHost("127.0.0.1", 18250)).toBe("box");
  await lab.run("plain", "bridge", { host: binding("", "18251") });
  const { Ports } = (await lab.client.containers.inspect("plain")).NetworkSettings;
  expect(Ports["80/tcp"]).toEqual([{ HostIp: "0.0.0.0", HostPort: "18251" }]);
  expect(await faultOf(lab.run("own", "bridge", { host: binding("::1", "18252") }))).toContain(
    "the container has no IPv6 address",
  );
  await lab.restart("SIGTERM");
});

for (const [program, absent] of [
  ["wherry", false],
  ["docker", dockerCli === null],
] as const)
  test.skipIf(absent)(`${program}: -p [::1]:PORT:PORT`, async () => {
    const ok = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await lab.engine.cli(program, args);
      expect(`${stderr}${code}`).toBe("0");
      return stdout;
    };
    await ok(
      "run",
      "-d",
      "--name",
      "box",
      "-p",
      "[::1]:18260:80",
      "-p",
      "18261:81",
      "busybox",
      "sleep",
      "60",
    );
    expect(await ok("port", "box", "80")).toBe("[::1]:18260\n");
    expect(await ok("port", "box", "81")).toBe("0.0.0.0:18261\n[::]:18261\n");
  });
