/** `wherry network trace`: where a container's answer to a name comes from, with real containers and a real server beside. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { decode, encode } from "dns-packet";
import type { Client } from "#client/client.ts";
import { addAddress } from "#kernel/network/addresses.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import type { HostConfig } from "#spec/container.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
let server: { close(): void };
const asked: string[] = [];
const serverAddress = "10.231.9.53";
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
  const opening = inNamespace(engine.netns, () => {
    using netlink = new Netlink();
    addAddress(netlink, 1, { address: serverAddress, prefixLength: 32 });
    return Bun.udpSocket({
      hostname: serverAddress,
      port: 53,
      socket: {
        data: (own, bytes, port, from) => void own.send(answerTo(Buffer.from(bytes)), port, from),
      },
    });
  });
  server = await opening;
  await client.networks.create({ Name: "back" });
  await client.networks.create({ Name: "closed", Internal: true });
  await run("web", "back");
  await run("asker", "back", {
    Dns: [serverAddress],
    DnsSearch: ["corp.example"],
    ExtraHosts: ["old:10.1.1.1"],
  });
  await run("shut", "closed");
  await run("plain", "bridge");
});
afterAll(async () => {
  server.close();
  await engine[Symbol.asyncDispose]();
});

/** `known.corp.example` is there. */
function answerTo(bytes: Buffer): Buffer {
  const { id = 0, questions = [] } = decode(bytes);
  const name = questions[0]?.name ?? "";
  asked.push(name);
  const isThere = name === "known.corp.example";
  const answers = isThere ? [{ type: "A" as const, name, ttl: 60, data: "192.0.2.7" }] : [];
  return encode({ type: "response", id, flags: isThere ? 0x180 : 0x183, questions, answers });
}

async function run(name: string, mode: string, host: HostConfig = {}): Promise<void> {
  const aliases =
    name === "web" ? { NetworkingConfig: { EndpointsConfig: { back: { Aliases: ["www"] } } } } : {};
  const { Id } = await client.containers.create(
    { Image: "busybox", Cmd: ["sleep", "1000"], HostConfig: { NetworkMode: mode, ...host }, ...aliases },
    { name },
  );
  await client.containers.start(Id);
}

async function trace(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const format = "{{.Asked}}|{{.Source}}|{{.Outcome}}|{{.Answers}}";
  const { code, stdout, stderr } = await engine.cli("wherry", [
    "network",
    "trace",
    "--format",
    format,
    ...args,
  ]);
  return { code, lines: (stdout + stderr).trim().split("\n") };
}

test("a container's name, its alias and its id are of a network, whatever the search list", async () => {
  const { NetworkSettings, Id } = await client.containers.inspect("web");
  const address = NetworkSettings.Networks["back"]?.IPAddress ?? "";
  expect(await trace("asker", "web")).toEqual({
    code: 0,
    lines: [`web|network back: name of container web|NOERROR|${address}`],
  });
  expect((await trace("asker", "www.back")).lines).toEqual([
    `www.back|network back: alias of container web|NOERROR|${address}`,
  ]);
  expect((await trace("asker", Id.slice(0, 12))).lines[0]).toContain("short id of container web");
  expect((await trace("asker", address)).lines[0]).toEndWith("|NOERROR|web.back");
});

test("another name is of the server that was asked, then of the cache; nobody's is told step by step", async () => {
  expect((await trace("asker", "known.corp.example")).lines).toEqual([
    `known.corp.example|the container's server ${serverAddress}|NOERROR|192.0.2.7`,
  ]);
  expect((await trace("asker", "known.corp.example")).lines[0]).toMatch(
    /\|cache, for \d+ s more\|NOERROR\|192.0.2.7$/,
  );
  expect(asked.filter((name) => name === "known.corp.example")).toHaveLength(1);
  const nobody = await trace("asker", "nobody.");
  expect(nobody).toEqual({ code: 1, lines: [`nobody|the container's server ${serverAddress}|NXDOMAIN|`] });
});

test("the hosts file comes first, and an internal network has nobody to ask", async () => {
  expect((await trace("asker", "old")).lines).toEqual(["old|the container's /etc/hosts|NOERROR|10.1.1.1"]);
  expect(await trace("shut", "example.org.")).toEqual({
    code: 1,
    lines: ["example.org|nobody: the container is on internal networks only|refused (SERVFAIL)|"],
  });
});

test("what cannot be traced says why", async () => {
  const [line = ""] = (await trace("plain", "example.org")).lines;
  expect(line).toContain("is on no network of a user's");
  expect((await trace("nosuch", "web")).lines[0]).toContain("No such container: nosuch");
  expect((await trace("--type", "MX", "asker", "web")).lines[0]).toContain('invalid type "MX"');
  expect((await trace("asker", "we b")).lines[0]).toContain('invalid name "we b"');
});
