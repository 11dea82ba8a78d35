/** A name server in a namespace, and the host's own servers asked from the host: each played by the test. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode, encode } from "dns-packet";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace, stayInNamespace } from "#kernel/network/netns.ts";
import { NameIndex } from "#network/records/name-index.ts";
import type { Endpoint } from "#spec/network.ts";
import { DnsForwarder } from "./dns-forwarder.ts";
import { NameResolver } from "./name-resolver.ts";
import { NameServers } from "./name-server.ts";

let directory: string;
let home: Disposable;
let servers: NameServers;
/** Whom the host asks. */
let hosts: readonly string[];
const closing: (() => void)[] = [];
const box = (name: string) => join(directory, name);
const endpoint: Endpoint = {
  ...{ networkId: "n", networkName: "net", endpointId: "e", ipAddress: "10.0.0.2", prefixLength: 24 },
  ...{ gateway: "10.0.0.1", macAddress: "", interfaceName: "", hostInterface: "", gatewayPriority: 0 },
  ...{ dnsNames: ["one"], links: [], ip6Address: "fd00::2", prefixLength6: 64, gateway6: "" },
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-names-"));
  for (const name of ["host", "box"])
    makeNamespace(box(name), () => {
      using netlink = new Netlink();
      setUp(netlink, 1);
    });
  home = stayInNamespace(box("host"));
  const names = new NameIndex();
  names.add(endpoint);
  hosts = ["127.0.0.51", "127.0.0.52", "127.0.0.53"];
  const hostServers = async () => hosts.map((address) => ({ address, port: 53 }));
  servers = new NameServers({
    resolver: new NameResolver({ names, forwarder: new DnsForwarder({ timeoutMs: 150 }), hostServers }),
    sandbox: () => ({
      ...{ containerId: "c", containerName: "one", hostname: "one", netnsPath: box("box") },
      ...{ endpoints: [endpoint], ports: [] },
    }),
    report: (fault) => {
      throw fault;
    },
  });
});
afterEach(() => {
  servers[Symbol.dispose]();
  for (const close of closing.splice(0)) close();
  home[Symbol.dispose]();
  for (const { target } of mountsBeneath(directory)) removeNamespace(target);
  rmSync(directory, { recursive: true, force: true });
});

/** A server on the host's loopback; without an address it hears and says nothing. @returns What it heard. */
async function serve(hostname: string, address?: string, forge = false): Promise<string[]> {
  const heard: string[] = [];
  const socket = await Bun.udpSocket({
    hostname,
    port: 53,
    socket: {
      data: (own, bytes, port, from) => {
        const query = decode(Buffer.from(bytes));
        const name = query.questions?.[0]?.name ?? "";
        heard.push(name);
        if (address === undefined) return;
        const reply = (id: number, data: string) =>
          own.send(
            encode({
              type: "response",
              id,
              flags: 0x180,
              questions: query.questions ?? [],
              answers: [{ type: "A", name, ttl: 60, data }],
            }),
            port,
            from,
          );
        if (forge) reply(((query.id ?? 0) + 1) & 0xffff, "192.0.2.66");
        reply(query.id ?? 0, address);
      },
      error: () => undefined,
    },
  });
  closing.push(() => socket.close());
  return heard;
}

async function ask(name: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const opening = inNamespace(box("box"), () =>
    Bun.udpSocket({
      connect: { hostname: "127.0.0.11", port: 53 },
      socket: {
        data: (_, bytes) => {
          const [first] = decode(Buffer.from(bytes)).answers ?? [];
          resolve(first?.type === "A" ? first.data : `code ${(bytes[3] ?? 0) & 15}`);
        },
        error: () => resolve("refused"),
      },
    }),
  );
  const socket = await opening;
  closing.push(() => socket.close());
  socket.send(encode({ type: "query", id: 1, flags: 256, questions: [{ type: "A", name }] }));
  return await promise;
}

test("servers on the host's loopback are asked from the host; a silent one gives way, and is asked last from then on", async () => {
  const silent = await serve("127.0.0.51");
  const knows = await serve("127.0.0.52", "192.0.2.7");
  servers.open("c", box("box"));
  expect(await ask("one")).toBe("10.0.0.2");
  expect(await ask("example.com")).toBe("192.0.2.7");
  expect(await ask("example.org")).toBe("192.0.2.7");
  expect([silent, knows]).toEqual([["example.com"], ["example.com", "example.org"]]);
});

test("a server of IPv6 is asked as well as one of IPv4", async () => {
  const heard = await serve("::1", "192.0.2.6");
  hosts = ["::1"];
  servers.open("c", box("box"));
  expect(await ask("example.com")).toBe("192.0.2.6");
  expect(heard).toEqual(["example.com"]);
});

test("nobody there is a failure, not silence", async () => {
  servers.open("c", box("box"));
  expect(await ask("example.com")).toBe("code 2");
});

test("a forged reply with another id is not believed", async () => {
  await serve("127.0.0.51", "192.0.2.7", true);
  servers.open("c", box("box"));
  expect(await ask("example.com")).toBe("192.0.2.7");
});

test("opening twice is opening once; opened again after a close it answers again", async () => {
  for (let times = 0; times < 2; times++) servers.open("c", box("box"));
  expect(await ask("one")).toBe("10.0.0.2");
  for (let times = 0; times < 2; times++) servers.close("c");
  expect(await ask("one")).toBe("refused");
  servers.open("c", box("box"));
  expect(await ask("one")).toBe("10.0.0.2");
});

test("many questions at once are all answered", async () => {
  servers.open("c", box("box"));
  const answers = await Promise.all(Array.from({ length: 100 }, async () => await ask("one")));
  expect(new Set(answers)).toEqual(new Set(["10.0.0.2"]));
});

test("what the host's server said is not asked again while it lasts", async () => {
  const heard = await serve("127.0.0.51", "192.0.2.7");
  servers.open("c", box("box"));
  for (let times = 0; times < 3; times++) expect(await ask("example.org")).toBe("192.0.2.7");
  expect(heard).toEqual(["example.org"]);
});

test("connections are bounded: those that say nothing shut nobody out who asks by UDP, and end", async () => {
  servers.open("c", box("box"));
  let ended = 0;
  const sockets = await Promise.all(
    Array.from({ length: 80 }, async () =>
      inNamespace(box("box"), () =>
        Bun.connect({
          hostname: "127.0.0.11",
          port: 53,
          socket: { data: () => undefined, close: () => void ended++, error: () => undefined },
        }),
      ),
    ),
  );
  closing.push(() => {
    for (const socket of sockets) socket.terminate();
  });
  expect(await ask("one")).toBe("10.0.0.2");
  for (let attempt = 0; ended < 16 && attempt < 200; attempt++) await Bun.sleep(10);
  expect(ended).toBe(16);
});
