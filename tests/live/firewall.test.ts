/**
 * Who may reach whom, whatever is done to the rules: with real connections from containers, from the host and from another
 * host on its network. One test for each way in that some engine once left open.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import type { Client } from "#client/client.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import type { HostConfig } from "#spec/container.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { fetchesFrom, Neighbour } from "./neighbour.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
let neighbour: Neighbour;
const apiPort = 23750;
beforeAll(async () => {
  engine = await EngineUnderTest.start("--host", `tcp://0.0.0.0:${apiPort}`);
  await engine.importBusybox();
  client = await engine.client();
  neighbour = new Neighbour(engine);
});
afterAll(async () => {
  neighbour[Symbol.dispose]();
  await engine[Symbol.asyncDispose]();
});
afterEach(async () => {
  nft("flush", "ruleset");
  await engine.removeContainers();
  await client.networks.prune();
});

interface Running {
  readonly id: string;
  readonly address: string;
  readonly gateway: string;
  readonly netns: string;
}

/** A container that answers its name on port 80, serving. */
async function run(name: string, mode = "bridge", host: HostConfig = {}): Promise<Running> {
  const command = `echo ${name} >/www/index.html; exec httpd -f -h /www`;
  const { Id } = await client.containers.create(
    { Image: "busybox", Cmd: ["sh", "-c", command], HostConfig: { NetworkMode: mode, ...host } },
    { name },
  );
  await client.containers.start(Id);
  const { State, NetworkSettings } = await client.containers.inspect(Id);
  const { IPAddress = "", Gateway = "" } = NetworkSettings.Networks[mode] ?? {};
  const netns = `/proc/${State.Pid}/ns/net`;
  await until(async () => (await fetchesFrom(netns, "127.0.0.1", 80)) === name);
  return { id: Id, address: IPAddress, gateway: Gateway, netns };
}

function nft(...words: string[]): void {
  const { status, stderr } = spawnSync("nsenter", [`--net=${engine.netns}`, "nft", ...words], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`nft ${words.join(" ")}: ${stderr}`);
}

function iptables(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync("nsenter", [`--net=${engine.netns}`, "iptables", ...words], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`iptables ${words.join(" ")}: ${stderr}`);
  return stdout;
}

function hostRules(text: string): void {
  inNamespace(engine.netns, () => runNft(text));
}

/** Sorted by line: elements of sets have no order. */
function rules(): string[] {
  const text = inNamespace(engine.netns, () => runNft("list ruleset"));
  return text
    .replaceAll(/,\s+/g, "\n")
    .split("\n")
    .map((line) => line.trim())
    .sort();
}

function ip(netns: string, ...words: string[]): void {
  const { status, stderr } = spawnSync("nsenter", [`--net=${netns}`, "ip", ...words], { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
}

const published = (port: number, HostIp = ""): HostConfig => ({
  PortBindings: { "80/tcp": [{ HostIp, HostPort: String(port) }] },
});

describe("rules that somebody takes away", () => {
  test("are back as they were, again and again, and the walls never fall", async () => {
    await client.networks.create({ Name: "a" });
    const one = await run("one", "a", published(18080));
    const other = await run("other");
    const before = rules();
    let [flushing, passed, tries] = [true, 0, 0];
    const wall = (async () => {
      for (; flushing; tries++) if ((await fetchesFrom(other.netns, one.address, 80)) !== "") passed++;
    })();
    for (let round = 0; round < 10; round++) {
      nft("flush", "ruleset");
      await until(() => Bun.deepEquals(rules(), before));
      expect(await neighbour.fetches(neighbour.hostAddress, 18080)).toBe("one");
    }
    const table = /table inet (wherry-[0-9a-f]{8}) /.exec(before.join("\n"))?.[1] ?? "";
    for (const words of [
      `delete table inet ${table}`,
      `flush chain inet ${table} forward`,
      `flush map inet ${table} any`,
    ]) {
      nft(...words.split(" "));
      await until(() => Bun.deepEquals(rules(), before));
    }
    flushing = false;
    await wall;
    expect({ passed, tried: tries > 0 }).toEqual({ passed: 0, tried: true });
    expect(engine.log).toContain(`nft (process `);
  }, 60_000);

  test("while containers start and end and publish: each has its port, none is left", async () => {
    const before = rules();
    let flushing = true;
    const flusher = (async () => {
      for (; flushing; await Bun.sleep(3)) nft("flush", "ruleset");
    })();
    const lane = async (first: number) => {
      for (let port = first; port < first + 5; port++) {
        const { id, gateway } = await run(`p${port}`, "bridge", published(port));
        expect(gateway).not.toBe("");
        await until(async () => (await neighbour.fetches(neighbour.hostAddress, port)) === `p${port}`);
        await client.containers.remove(id, { force: true });
      }
    };
    await Promise.all([lane(18100), lane(18200)]);
    flushing = false;
    await flusher;
    await until(() => Bun.deepEquals(rules(), before));
  }, 60_000);

  test("of others are nobody's business", async () => {
    const before = rules();
    const logged = engine.log;
    nft("add", "table", "ip", "theirs");
    nft("add", "chain", "ip", "theirs", "forward", "{ type filter hook forward priority 0; }");
    nft("delete", "table", "ip", "theirs");
    await until(() => Bun.deepEquals(rules(), before));
    expect(engine.log).toBe(logged);
  });
});

describe("closed", () => {
  test("the engine's API is, to containers, on every address of the host; the host and its neighbours have it", async () => {
    const { netns, gateway } = await run("inside");
    await client.networks.create({ Name: "a" });
    const there = await run("there", "a");
    const asks = [gateway, neighbour.hostAddress, there.gateway].map(
      async (address) => await fetchesFrom(netns, address, apiPort),
    );
    expect(await Promise.all(asks)).toEqual(["", "", ""]);
    // It does answer, with 404 for `/`, who may ask.
    expect(await fetchesFrom(engine.netns, gateway, apiPort)).toContain("page not found");
    expect(await neighbour.fetches(neighbour.hostAddress, apiPort)).toContain("page not found");
  });

  test("the host's loopback is, to containers that route there", async () => {
    const { netns, gateway } = await run("inside", "bridge", published(18080, "127.0.0.1"));
    await run("local", "bridge", published(18081, "127.0.0.1"));
    for (const words of ["addr del 127.0.0.1/8 dev lo", `route add 127.0.0.0/8 via ${gateway}`])
      ip(netns, ...words.split(" "));
    spawnSync("nsenter", [
      `--net=${netns}`,
      "sh",
      "-c",
      "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet",
    ]);
    expect(await fetchesFrom(netns, "127.0.0.1", 18081)).toBe("");
    expect(await fetchesFrom(netns, "127.0.0.1", apiPort)).toBe("");
    expect(await fetchesFrom(engine.netns, "127.0.0.1", 18081)).toBe("local");
  });

  test("a port published on 127.0.0.1 is, to the host's neighbours", async () => {
    await run("local", "bridge", published(18081, "127.0.0.1"));
    neighbour.ip("addr", "del", "127.0.0.1/8", "dev", "lo");
    neighbour.ip("route", "add", "127.0.0.0/8", "via", neighbour.hostAddress);
    spawnSync("nsenter", [
      `--net=${neighbour.netns}`,
      ...["sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet"],
    ]);
    expect(await neighbour.fetches("127.0.0.1", 18081)).toBe("");
    expect(await neighbour.fetches(neighbour.hostAddress, 18081)).toBe("");
    neighbour.ip("route", "del", "127.0.0.0/8");
    neighbour.ip("addr", "add", "127.0.0.1/8", "dev", "lo");
  });

  test("a container's own address is, to neighbours that route there: published or not, only the port of the host is open", async () => {
    const open = await run("open", "bridge", published(18080));
    const shut = await run("shut");
    neighbour.ip("route", "add", `${open.address}/32`, "via", neighbour.hostAddress);
    neighbour.ip("route", "add", `${shut.address}/32`, "via", neighbour.hostAddress);
    expect(await neighbour.fetches(open.address, 80)).toBe("");
    expect(await neighbour.fetches(shut.address, 80)).toBe("");
    expect(await neighbour.fetches(neighbour.hostAddress, 18080)).toBe("open");
  });

  test("an internal network is, in both directions, whatever routes its containers add", async () => {
    await client.networks.create({ Name: "in", Internal: true });
    const { netns, address } = await run("closed", "in");
    const gateway = (await client.networks.inspect("in")).IPAM.Config?.[0]?.Gateway ?? "";
    const open = await run("open", "bridge", published(18080));
    ip(netns, "route", "add", "default", "via", gateway);
    neighbour.ip("route", "add", `${address}/32`, "via", neighbour.hostAddress);
    expect(await fetchesFrom(netns, open.address, 80)).toBe("");
    expect(await fetchesFrom(netns, neighbour.hostAddress, 18080)).toBe("");
    expect(await neighbour.fetches(address, 80)).toBe("");
  });

  test("interfaces of containers have no IPv6 that nobody gave them", async () => {
    const { netns } = await run("plain");
    const { stdout } = spawnSync("nsenter", [`--net=${netns}`, "ip", "-6", "addr", "show", "dev", "eth0"], {
      encoding: "utf8",
    });
    expect(stdout).toBe("");
  });
});

describe("the host's own filter", () => {
  test("decides about published ports as about any service of the host, and at once when it changes", async () => {
    const one = await run("one", "bridge", published(18080));
    await run("two", "bridge", published(18083));
    const both = async () =>
      await Promise.all([18080, 18083].map((port) => neighbour.fetches(neighbour.hostAddress, port)));
    expect(await both()).toEqual(["one", "two"]);
    hostRules(`table inet filter {
      set friends { type ipv4_addr; flags interval; elements = { 10.99.0.0/16 }
      }
      chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif lo accept
        ip saddr @friends accept
        tcp dport { 22, 18079-18081 } log prefix "in " counter jump services
      }
      chain services { ip daddr ${neighbour.hostAddress} accept
      }
    }`);
    await until(async () => Bun.deepEquals(await both(), ["one", ""]));
    // The host itself, and containers, whom no rule of it lets in either.
    expect(await fetchesFrom(engine.netns, "127.0.0.1", 18083)).toBe("two");
    expect(await fetchesFrom(one.netns, one.gateway, 18083)).toBe("");
    nft("add", "element", "inet", "filter", "friends", `{ ${neighbour.address} }`);
    await until(async () => Bun.deepEquals(await both(), ["one", "two"]));
    nft("delete", "element", "inet", "filter", "friends", `{ ${neighbour.address} }`);
    nft(
      "insert",
      "rule",
      "inet",
      "filter",
      "input",
      "tcp",
      "dport",
      "vmap",
      "{ 18080 : drop, 18083 : accept }",
    );
    await until(async () => Bun.deepEquals(await both(), ["", "two"]));
    nft("flush", "ruleset");
    await until(async () => Bun.deepEquals(await both(), ["one", "two"]));
  });

  test("may be of iptables, with rules that only iptables knows: those let nobody in", async () => {
    await run("one", "bridge", published(18080));
    await run("two", "bridge", published(18083));
    await run("three", "bridge", published(18084));
    for (const words of [
      "-P INPUT DROP",
      "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT",
      "-A INPUT -m addrtype --dst-type MULTICAST -j DROP",
      "-A INPUT -p tcp -m multiport --dports 18080,443 -j ACCEPT",
      "-A INPUT -p tcp --dport 18083 -m recent --name x --set -j ACCEPT",
      "-A INPUT -s 10.231.0.0/24 -p tcp --dport 18084 -j ACCEPT",
    ])
      iptables(...words.split(" "));
    const asked = async () =>
      await Promise.all([18080, 18083, 18084].map((port) => neighbour.fetches(neighbour.hostAddress, port)));
    await until(async () => Bun.deepEquals(await asked(), ["one", "", "three"]));
    expect(engine.log).toContain("a rule of the host cannot be applied to published ports (ip filter INPUT)");
  });

  test("keeps what it says of forwarded packets, and the engine says what that means", async () => {
    await run("one", "bridge", published(18080));
    iptables("-P", "FORWARD", "DROP");
    await until(() => engine.log.includes("(table ip filter, chain FORWARD): containers have no way out"));
    expect(await neighbour.fetches(neighbour.hostAddress, 18080)).toBe("");
  });

  test("is bypassed with --firewall docker, by rules in front of its own that go in mode strict", async () => {
    iptables("-P", "FORWARD", "DROP");
    iptables("-P", "INPUT", "DROP");
    iptables("-A", "INPUT", "-i", "lo", "-j", "ACCEPT");
    await engine.stop();
    await engine.start("--firewall", "docker");
    client = await engine.client();
    await client.networks.create({ Name: "own", Options: { "com.docker.network.bridge.name": "mybridge" } });
    await run("one", "bridge", published(18080));
    await run("two", "own", published(18083));
    const both = async () =>
      await Promise.all([18080, 18083].map((port) => neighbour.fetches(neighbour.hostAddress, port)));
    await until(async () => Bun.deepEquals(await both(), ["one", "two"]));
    expect(iptables("-S", "FORWARD")).toContain("-A FORWARD -o mybridge");
    iptables("-F", "FORWARD");
    await until(async () => Bun.deepEquals(await both(), ["one", "two"]));
    await engine.stop();
    await engine.start();
    client = await engine.client();
    expect(iptables("-S", "FORWARD")).toBe("-P FORWARD DROP\n");
    expect(await neighbour.fetches(neighbour.hostAddress, 18080)).toBe("");
  });
});
