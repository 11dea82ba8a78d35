/**
 * Names on networks of one's own: asked of 127.0.0.11 from inside containers' network namespaces, by UDP and TCP, with real
 * packets. Servers outside are played by the test, from inside another container.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import * as dns from "dns-packet";
import type { Client } from "#client/client.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import type { EndpointSettings, HostConfig } from "#spec/container.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
beforeEach(async () => void (await client.networks.create({ Name: "net" })));
afterEach(async () => {
  await engine.removeContainers();
  await client.networks.prune();
});

async function run(
  name: string,
  o: { mode?: string; settings?: EndpointSettings; host?: HostConfig; hostname?: string } = {},
): Promise<string> {
  const { mode = "net", settings, host, hostname } = o;
  const { Id } = await client.containers.create(
    {
      Image: "busybox",
      Cmd: ["sleep", "1000"],
      HostConfig: { NetworkMode: mode, ...host },
      ...(hostname !== undefined && { Hostname: hostname }),
      ...(settings !== undefined && { NetworkingConfig: { EndpointsConfig: { [mode]: settings } } }),
    },
    { name },
  );
  await client.containers.start(Id);
  return Id;
}

async function netns(container: string): Promise<string> {
  return (await client.containers.inspect(container)).NetworkSettings.SandboxKey;
}

async function addressOf(container: string, network = "net"): Promise<string> {
  return (await client.containers.inspect(container)).NetworkSettings.Networks[network]?.IPAddress ?? "";
}

/** The library's types leave the code out. */
type Reply = dns.DecodedPacket & { readonly rcode: string };
const decode = (bytes: Uint8Array): Reply => dns.decode(Buffer.from(bytes)) as Reply;
const question = (name: string, type: dns.RecordType = "A"): dns.Packet => ({
  ...{ type: "query", id: 4242, flags: 256 },
  questions: [{ name, type, class: "IN" }],
});
const waitMs = 10_000;

/** Asks from where the container is. */
async function ask(container: string, name: string, type?: dns.RecordType): Promise<Reply> {
  const path = await netns(container);
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const opening = inNamespace(path, () =>
    Bun.udpSocket({
      connect: { hostname: "127.0.0.11", port: 53 },
      socket: { data: (_, bytes) => resolve(decode(bytes)), error: (_, error) => reject(error) },
    }),
  );
  const socket = await opening;
  const timer = setTimeout(() => reject(new Error(`no answer about ${name}`)), waitMs);
  socket.send(dns.encode(question(name, type)));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

async function askByTcp(container: string, names: readonly string[]): Promise<Reply[]> {
  const path = await netns(container);
  const { promise, resolve, reject } = Promise.withResolvers<Reply[]>();
  let seen = Buffer.alloc(0);
  const replies: Reply[] = [];
  const opening = inNamespace(path, () =>
    Bun.connect({
      hostname: "127.0.0.11",
      port: 53,
      socket: {
        data: (_, bytes) => {
          seen = Buffer.concat([seen, bytes]);
          while (seen.length > 2 && seen.length >= 2 + seen.readUInt16BE(0)) {
            replies.push(decode(seen.subarray(2)));
            seen = seen.subarray(2 + seen.readUInt16BE(0));
          }
          if (replies.length === names.length) resolve(replies);
        },
        close: () => reject(new Error("closed")),
      },
    }),
  );
  const socket = await opening;
  socket.write(Buffer.concat(names.map((name) => dns.streamEncode(question(name)))));
  const answers = await promise;
  socket.end();
  return answers;
}

const dataOf = ({ answers = [] }: Reply) => answers.map((each) => ("data" in each ? each.data : ""));
const addresses = async (container: string, name: string) => dataOf(await ask(container, name)).sort();

async function inside(container: string, ...Cmd: string[]): Promise<string> {
  const exec = await client.containers.createExec(container, { Cmd, AttachStdout: true, AttachStderr: true });
  await using stream = await client.containers.startExec(exec, { tty: false });
  const frames = new FrameDecoder();
  let out = "";
  for await (const part of stream.output)
    for (const { bytes } of frames.push(part)) out += Buffer.from(bytes).toString();
  return out;
}

/** A name server in a container, on its port 53, that says `reply` to everything; what it was asked. */
async function serve(container: string, reply: { address?: string; rcode?: number }): Promise<string[]> {
  const path = await netns(container);
  const asked: string[] = [];
  const answerTo = (bytes: Uint8Array): Buffer => {
    const query = decode(bytes);
    const [first] = query.questions ?? [];
    asked.push(first?.name ?? "");
    const { address } = reply;
    return dns.encode({
      type: "response",
      id: query.id ?? 0,
      flags: 0x180 | (reply.rcode ?? 0),
      questions: query.questions ?? [],
      answers: address === undefined ? [] : [{ type: "A", name: first?.name ?? "", ttl: 5, data: address }],
    });
  };
  const opening = inNamespace(path, () => {
    const udp = Bun.udpSocket({
      hostname: "0.0.0.0",
      port: 53,
      socket: {
        data: (socket, bytes, port, from) => void socket.send(answerTo(bytes), port, from),
        error: () => undefined,
      },
    });
    const tcp = Bun.listen({
      hostname: "0.0.0.0",
      port: 53,
      socket: {
        data: (socket, bytes) => {
          const bare = answerTo(bytes.subarray(2));
          const length = Buffer.alloc(2);
          length.writeUInt16BE(bare.length, 0);
          socket.write(Buffer.concat([length, bare]));
        },
      },
    });
    return { udp, tcp };
  });
  const udp = await opening.udp;
  servers.push(() => {
    udp.close();
    opening.tcp.stop(true);
  });
  return asked;
}
const servers: (() => void)[] = [];
afterEach(() => {
  for (const close of servers.splice(0)) close();
});

describe("who is called what", () => {
  test("names, aliases, short ids and host names; in any case, with the network behind; by UDP and TCP", async () => {
    const id = await run("one", { settings: { Aliases: ["web", "www"] }, hostname: "box" });
    await run("two");
    const one = await addressOf("one");
    for (const name of ["one", "WEB", "www", id.slice(0, 12), "box", "one.net", "web.net."])
      expect([name, await addresses("two", name)]).toEqual([name, [one]]);
    const replies = await askByTcp("two", ["one", "two", "web"]);
    expect(replies.map(dataOf)).toEqual([[one], [await addressOf("two")], [one]]);
    expect(await addresses("one", "one")).toEqual([one]);
  });

  test("a name that is there has no IPv6 address, and is no error; addresses have names", async () => {
    await run("one");
    const reply = await ask("one", "one", "AAAA");
    expect([reply.rcode, reply.answers]).toEqual(["NOERROR", []]);
    const backwards = `${(await addressOf("one")).split(".").reverse().join(".")}.in-addr.arpa`;
    expect(dataOf(await ask("one", backwards, "PTR"))).toEqual(["one.net"]);
  });

  test("replicas take turns", async () => {
    for (const name of ["one", "two", "three"]) await run(name, { settings: { Aliases: ["web"] } });
    const firsts = new Set<unknown>();
    for (let times = 0; times < 3; times++) firsts.add(dataOf(await ask("one", "web"))[0]);
    expect(firsts.size).toBe(3);
    expect(await addresses("one", "web")).toHaveLength(3);
  });

  test("only networks of one's own know one, and a container that went is known no more", async () => {
    await client.networks.create({ Name: "other" });
    await run("one");
    await run("two");
    await run("away", { mode: "other" });
    expect((await ask("away", "one")).rcode).toBe("SERVFAIL");
    await client.networks.connect("net", { Container: "away", EndpointConfig: { Aliases: ["guest"] } });
    expect(await addresses("one", "guest")).toEqual([await addressOf("away")]);
    expect(await addresses("away", "one")).toEqual([await addressOf("one")]);
    await client.networks.disconnect("net", { Container: "away" });
    expect((await ask("one", "guest")).rcode).toBe("SERVFAIL");
    await client.containers.rename("two", "zwei");
    expect(await addresses("one", "zwei")).toEqual([await addressOf("zwei")]);
    expect((await ask("one", "two")).rcode).toBe("SERVFAIL");
    await client.containers.stop("zwei", { seconds: 0 });
    expect((await ask("one", "zwei")).rcode).toBe("SERVFAIL");
  });

  test("links are names of one's own for others", async () => {
    await run("db");
    await run("one", { settings: { Links: ["db:store"] } });
    await run("two");
    expect(await addresses("one", "store")).toEqual([await addressOf("db")]);
    expect((await ask("two", "store")).rcode).toBe("SERVFAIL");
  });
});

describe("in a container", () => {
  test("the resolver asks 127.0.0.11, and port 53 is the container's own", async () => {
    await run("one");
    await run("two");
    const file = await inside("one", "cat", "/etc/resolv.conf");
    expect(file).toContain("nameserver 127.0.0.11\n");
    expect(file).toContain("options ndots:0\n");
    expect(await inside("one", "nslookup", "two")).toContain(await addressOf("two"));
    await serve("one", { address: "192.0.2.9" });
    expect(await addresses("one", "two")).toEqual([await addressOf("two")]);
  });

  test("on the default bridge nothing is answered until it joins a network of one's own", async () => {
    await run("one");
    await run("plain", { mode: "bridge" });
    expect(await inside("plain", "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11");
    await client.networks.connect("net", { Container: "plain" });
    expect(await inside("plain", "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11");
    expect(await addresses("plain", "one")).toEqual([await addressOf("one")]);
    expect(await addresses("one", "plain")).toEqual([await addressOf("plain")]);
  });

  test("a restart of the engine leaves no container without answers", async () => {
    await run("one");
    await run("two");
    await engine.stop("SIGKILL");
    await engine.start();
    client = await engine.client();
    expect(await addresses("one", "two")).toEqual([await addressOf("two")]);
    expect((await askByTcp("two", ["one"])).map(dataOf)).toEqual([[await addressOf("one")]]);
  });
});

describe("names of the world", () => {
  test("are asked of the container's servers, the next when one refuses or is not there", async () => {
    await run("refuses");
    await run("nobody");
    await run("knows");
    const refused = await serve("refuses", { rcode: 5 });
    const asked = await serve("knows", { address: "192.0.2.7" });
    const Dns = [await addressOf("refuses"), await addressOf("nobody"), await addressOf("knows")];
    await run("one", { host: { Dns } });
    expect(await inside("one", "cat", "/etc/resolv.conf")).toContain(`# ExtServers: [${Dns.join(" ")}]`);
    const reply = await ask("one", "example.com");
    expect([reply.id, dataOf(reply)]).toEqual([4242, ["192.0.2.7"]]);
    expect((await askByTcp("one", ["example.org"])).map(dataOf)).toEqual([["192.0.2.7"]]);
    expect(asked).toEqual(["example.com", "example.org"]);
    expect(refused).toEqual(["example.com", "example.org"]);
    for (const close of servers.splice(1)) close();
    expect((await ask("one", "example.net")).rcode).toBe("REFUSED");
  }, 30_000);

  test("are nobody's business on internal networks only", async () => {
    await client.networks.create({ Name: "in", Internal: true });
    await run("knows", { mode: "in" });
    const asked = await serve("knows", { address: "192.0.2.7" });
    const Dns = [await addressOf("knows", "in")];
    await run("one", { mode: "in", host: { Dns } });
    expect((await ask("one", "secret.example.com")).rcode).toBe("SERVFAIL");
    expect((await ask("one", "4.3.2.1.in-addr.arpa", "PTR")).rcode).toBe("SERVFAIL");
    expect(await addresses("one", "knows")).toEqual([await addressOf("knows", "in")]);
    expect(asked).toEqual([]);
    await client.networks.connect("net", { Container: "one" });
    expect(await addresses("one", "example.com")).toEqual(["192.0.2.7"]);
  });

  test("a bare name is not asked for outside when the user says how many dots make one whole", async () => {
    await run("knows");
    const asked = await serve("knows", { address: "192.0.2.7" });
    await run("one", { host: { Dns: [await addressOf("knows")], DnsOptions: ["ndots:2"] } });
    expect((await ask("one", "bare")).rcode).toBe("NXDOMAIN");
    expect(asked).toEqual([]);
    expect(await addresses("one", "not.bare")).toEqual(["192.0.2.7"]);
  });
});
