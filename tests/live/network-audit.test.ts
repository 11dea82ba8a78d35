/** `wherry network audit`: what it says is what connections meet. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
import { addBridge, listLinks } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import type { HostConfig } from "#spec/container.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start("--host", "tcp://0.0.0.0:23751");
  await engine.importBusybox();
  client = await engine.client();
  await client.networks.create({ Name: "a" });
  await client.networks.create({
    Name: "apart",
    Options: { "com.docker.network.bridge.enable_icc": "false" },
  });
  await client.networks.create({ Name: "in", Internal: true });
  const port = (HostPort: string, HostIp = ""): HostConfig => ({
    PortBindings: { "80/tcp": [{ HostIp, HostPort }] },
  });
  await run("web", "a", port("18080"));
  await run("peer", "a");
  await run("local", "bridge", port("18081", "127.0.0.1"));
  await run("lone", "apart");
  await run("lone2", "apart");
  await run("dns", "a", {
    PortBindings: Object.fromEntries([53, 54, 55].map((at) => [`${at}/udp`, [{ HostPort: `180${at}` }]])),
  });
  await run("shut", "in");
  await run("shut2", "in");
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function run(name: string, mode: string, host: HostConfig = {}): Promise<void> {
  const { Id } = await client.containers.create(
    { Image: "busybox", Cmd: ["httpd", "-f", "-h", "/www"], HostConfig: { NetworkMode: mode, ...host } },
    { name },
  );
  await client.containers.start(Id);
}

/** Until every container listens. */
async function rows(probe: boolean) {
  for (let attempt = 0; ; attempt++) {
    const { Rows } = await client.networks.audit({ probe });
    if (!Rows.some(({ Address }) => Address.endsWith("nothing listens")) || attempt > 200) return Rows;
    await Bun.sleep(20);
  }
}

const reached = ["open", "open or silent", "refused"];

test("every word of it is what probes meet, from outside, from the host and from each network", async () => {
  const found = await rows(true);
  expect(found.filter(({ ShownBy }) => ShownBy === "contradicted")).toEqual([]);
  const wrong = found.filter(
    ({ Verdict, Probe = "" }) => Probe !== "not tried" && reached.includes(Probe) !== (Verdict === "open"),
  );
  expect(wrong).toEqual([]);
  const seen = (from: string, to: string, ending = ":80/tcp") =>
    found
      .filter(({ From, To, Address }) => From === from && To === to && Address.endsWith(ending))
      .map(({ Verdict, Probe, ShownBy }) => [Verdict, Probe, ShownBy]);
  expect(seen("network a", "container web")).toEqual([["open", "open", "probe"]]);
  expect(seen("network in", "container shut")).toEqual([["open", "open", "probe"]]);
  expect(seen("network apart", "container lone")).toEqual([["closed", "no answer", "probe"]]);
  expect(seen("network in", "container web", "0.0.0.0:18080/tcp")).toEqual([
    ["closed", "no answer", "probe"],
  ]);
  expect(seen("network apart", "container web", "0.0.0.0:18080/tcp")).toEqual([["open", "open", "probe"]]);
  expect(seen("host", "container web", "[::]:18080/tcp")).toEqual([["open", "open", "probe"]]);
  expect(seen("network a", "container web", "[::]:18080/tcp")).toEqual([["closed", "not tried", "rules"]]);
  expect(seen("network a", "container local")).toEqual([["closed", "no answer", "probe"]]);
  expect(seen("network a", "the engine", ":23751/tcp")).toEqual([["closed", "no answer", "probe"]]);
  expect(seen("host", "the engine", ":23751/tcp")).toEqual([["open", "open", "probe"]]);
  expect(seen("outside", "the engine", ":23751/tcp")).toEqual([["open", "open", "probe"]]);
  expect(seen("outside", "container local", ":18081/tcp")).toEqual([["closed", "not tried", "rules"]]);
  for (const address of ["0.0.0.0:18080/tcp", "[::]:18080/tcp"])
    expect(seen("outside", "container web", address)).toEqual([["open", "open", "probe"]]);
  expect(seen("outside", "container web")).toEqual([["closed", "no answer", "probe"]]);
  expect(seen("outside", "container shut")).toEqual([["closed", "no answer", "probe"]]);
});

test("UDP: who answers, who listens in silence, and who is never reached", async () => {
  const { Pid } = (await client.containers.inspect("dns")).State;
  const served = { hostname: "0.0.0.0", port: 53 };
  const [loud, silent] = await inNamespace(`/proc/${Pid}/ns/net`, () =>
    Promise.all([
      Bun.udpSocket({
        ...served,
        socket: { data: (socket, _, port, address) => void socket.send("pong", port, address) },
      }),
      Bun.udpSocket({ ...served, port: 54, socket: { data: () => undefined } }),
    ]),
  );
  try {
    const { Rows } = await client.networks.audit({ probe: true });
    const seen = (from: string, ending: string) =>
      Rows.filter(
        ({ From, To, Address }) => From === from && To === "container dns" && Address.endsWith(ending),
      ).map(({ Verdict, Probe, ShownBy }) => `${Verdict}, ${Probe}, ${ShownBy}`);
    expect(Rows.filter(({ ShownBy }) => ShownBy === "contradicted")).toEqual([]);
    expect(seen("outside", "0.0.0.0:18053/udp")).toEqual(["open, open, probe"]);
    expect(seen("outside", "[::]:18053/udp")).toEqual(["open, open, probe"]);
    expect(seen("outside", "0.0.0.0:18054/udp")).toEqual(["open, open or silent, probe"]);
    expect(seen("outside", "0.0.0.0:18055/udp")).toEqual(["open, refused, probe"]);
    expect(seen("network apart", "0.0.0.0:18053/udp")).toEqual(["open, open, probe"]);
    expect(seen("host", ":54/udp")).toEqual(["open, open or silent, probe"]);
    expect(seen("network a", ":53/udp")).toEqual(["open, open, probe"]);
    expect(seen("network apart", ":53/udp")).toEqual(["closed, no answer, probe"]);
    expect(seen("outside", ":54/udp")).toEqual(["closed, no answer, probe"]);
  } finally {
    loud.close();
    silent.close();
  }
});

test("what a rule on the way refuses was never reached", async () => {
  const rules = (text: string) => inNamespace(engine.netns, () => runNft(text));
  rules(
    'table ip refusing {\n chain f {\n type filter hook forward priority -10; policy accept;\n iifname "wx*" meta l4proto tcp reject with tcp reset\n }\n}\n',
  );
  try {
    const { Rows } = await client.networks.audit({ probe: true });
    const met = Rows.filter(
      ({ Address, From, To }) => From === "outside" && To === "container peer" && Address.endsWith(":80/tcp"),
    ).map(({ Probe, ShownBy, Verdict }) => [Verdict, Probe, ShownBy]);
    expect(met).toEqual([["closed", "rejected", "probe"]]);
  } finally {
    rules("delete table ip refusing");
  }
});

test("what would leave this machine is not sent, and why is said; nothing is left of the place outside", async () => {
  inNamespace(engine.netns, () => {
    using netlink = new Netlink();
    for (const name of ["theirs", "parent0"]) addBridge(netlink, name);
  });
  await client.networks.create({
    ...{ Name: "wire", Options: { "com.docker.network.bridge.name": "theirs" } },
    IPAM: { Config: [{ Subnet: "10.88.0.0/24" }] },
  });
  await client.networks.create({ Name: "mac", Driver: "macvlan", Options: { parent: "parent0" } });
  await run("wired", "wire");
  await run("child", "mac");
  const found = await rows(true);
  for (const [from, to] of [
    ["outside", "container wired"],
    ["host", "container child"],
    ["network mac", "container wired"],
  ])
    expect(
      found
        .filter(({ Address, From, To }) => From === from && To === to && Address.endsWith(":80/tcp"))
        .map(({ Probe, Untried }) => [Probe, Untried]),
    ).toEqual([["not tried", "it would leave this machine"]]);
  const links = inNamespace(engine.netns, () => {
    using netlink = new Netlink();
    return listLinks(netlink).map(({ name }) => name);
  });
  expect(links.filter((name) => name.startsWith("wx"))).toEqual([]);
  for (const name of ["wired", "child"]) await client.containers.remove(name, { force: true });
  for (const name of ["wire", "mac"]) await client.networks.remove(name);
});

test("as a table and as JSON, by where from; with a hole in the walls it ends with 1 and names it", async () => {
  const outside = await engine.cli("wherry", ["network", "audit", "--from", "outside", "--open"]);
  expect(outside.code).toBe(0);
  expect(outside.stdout).toMatch(/^FROM +TO +ADDRESS +VERDICT +SHOWN BY +WHY\n/);
  expect(outside.stdout).toMatch(
    /outside +container web +0\.0\.0\.0:18080\/tcp +open +rules +published: leads to port 80/,
  );
  expect(outside.stdout).not.toContain("local");
  const json = await engine.cli("wherry", ["network", "audit", "--format", "json", "--from", "a"]);
  const [first = ""] = json.stdout.split("\n");
  expect(JSON.parse(first)).toMatchObject({ From: "network a", To: "the engine", Verdict: "closed" });
  // Past the engine's own walls: the host answers for the container, to everybody.
  inNamespace(engine.netns, () =>
    runNft(
      "table ip hole {\n chain in {\n type nat hook prerouting priority -150; policy accept;\n tcp dport 80 redirect to :23752\n }\n}\n",
    ),
  );
  const opening = inNamespace(engine.netns, () =>
    Bun.listen({ hostname: "0.0.0.0", port: 23_752, socket: { data: () => undefined } }),
  );
  try {
    const { code, stderr } = await engine.cli("wherry", ["network", "audit", "--probe"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^\d+ ways: \d+ shown by probes, \d+ by the rules alone, [1-9]\d* contradicted\n/);
    expect(stderr).toMatch(/container local at [\d.]+:80\/tcp should be closed from network a, but is: open/);
  } finally {
    opening.stop(true);
    inNamespace(engine.netns, () => runNft("delete table ip hole"));
  }
});

test("the host's own filter is named where it decides", async () => {
  inNamespace(engine.netns, () =>
    runNft(
      "table inet filter {\n chain input {\n type filter hook input priority filter; policy drop;\n iif lo accept\n }\n}\n",
    ),
  );
  for (let attempt = 0; ; attempt++) {
    const found = (await rows(false)).find(
      ({ From, Address }) => From === "outside" && Address === "0.0.0.0:18080/tcp",
    );
    if (found?.Verdict === "host filter") break;
    if (attempt > 200) throw new Error(JSON.stringify(found));
    await Bun.sleep(20);
  }
});
