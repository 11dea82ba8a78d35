/** `wherry network audit`: what it says is what connections meet. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
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

test("every word of it is what connections meet", async () => {
  const found = await rows(true);
  const wrong = found.filter(
    ({ Verdict, Probe }) =>
      (Verdict === "open" && !["open", "not tried"].includes(Probe ?? "")) ||
      (Verdict === "closed" && !["no answer", "not tried"].includes(Probe ?? "")),
  );
  expect(wrong).toEqual([]);
  const verdict = (from: string, to: string, ending = ":80/tcp") =>
    found
      .filter(({ From, To, Address }) => From === from && To === to && Address.endsWith(ending))
      .map(({ Verdict, Probe }) => [Verdict, Probe]);
  expect(verdict("network a", "container web")).toEqual([["open", "open"]]);
  expect(verdict("network in", "container shut")).toEqual([["open", "open"]]);
  expect(verdict("network apart", "container lone")).toEqual([["closed", "no answer"]]);
  expect(verdict("network in", "container web", "0.0.0.0:18080/tcp")).toEqual([["closed", "no answer"]]);
  expect(verdict("network apart", "container web", "0.0.0.0:18080/tcp")).toEqual([["open", "open"]]);
  expect(verdict("host", "container web", "[::]:18080/tcp")).toEqual([["open", "open"]]);
  expect(verdict("network a", "container web", "[::]:18080/tcp")).toEqual([["closed", "not tried"]]);
  expect(verdict("network a", "container local")).toEqual([["closed", "no answer"]]);
  expect(verdict("network a", "the engine", ":23751/tcp")).toEqual([["closed", "no answer"]]);
  expect(verdict("host", "the engine", ":23751/tcp")).toEqual([["open", "open"]]);
  expect(verdict("outside", "container local", ":18081/tcp")).toEqual([["closed", "not tried"]]);
  expect(verdict("outside", "container web", "0.0.0.0:18080/tcp")).toEqual([["open", "not tried"]]);
});

test("as a table and as JSON, by where from; with a hole in the walls it ends with 1 and names it", async () => {
  const outside = await engine.cli("wherry", ["network", "audit", "--from", "outside", "--open"]);
  expect(outside.code).toBe(0);
  expect(outside.stdout).toMatch(/^FROM +TO +ADDRESS +VERDICT +WHY\n/);
  expect(outside.stdout).toMatch(
    /outside +container web +0\.0\.0\.0:18080\/tcp +open +published: leads to port 80/,
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
