import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { listLinks, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { makeNamespace, removeNamespace, stayInNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import type { ContainerConfig, ContainerRecord, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { until } from "#spec/until-fixture.ts";
import { Records } from "#store/records.ts";
import { Networks } from "./networks.ts";

let directory: string;
let home: Disposable;
let records: Records;
let networks: Networks;
let reports: string[];
const children: ChildProcess[] = [];
const { signal } = new AbortController();
const [a, b] = ["a".repeat(64), "b".repeat(64)];

async function open(): Promise<Networks> {
  return await Networks.open({
    records,
    execRoot: join(directory, "exec"),
    name: "t1",
    relayThread: new URL("../bin/relay-thread.ts", import.meta.url),
    now: () => "2026-01-01T00:00:00Z",
    report: (fault) => reports.push(fault.message),
  });
}

/** A host of the test's own: nothing here reaches the machine's network. */
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "wherry-networks-"));
  makeNamespace(join(directory, "host"), () => {
    using netlink = new Netlink();
    setUp(netlink, 1);
  });
  home = stayInNamespace(join(directory, "host"));
  records = Records.open(join(directory, "records.db"));
  reports = [];
  networks = await open();
  await networks.prepare(new Set());
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const id of [a, b]) await networks.detach(id);
  await networks[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  for (const { target } of mountsBeneath(directory)) removeNamespace(target);
  records[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function attach(
  containerId: string,
  host: HostConfig = {},
  more: { config?: ContainerConfig; joins?: string } = {},
) {
  const { config = {}, joins } = more;
  const mode = host.NetworkMode ?? "bridge";
  const sandbox = await networks.attach({
    containerId,
    name: `c${containerId[0]}`,
    hostname: "box",
    config,
    host,
    endpoints: mode.startsWith("container:") ? {} : { [mode]: {} },
    joins,
    signal,
  });
  await networks.plug(containerId);
  return sandbox;
}

/** Runs busybox in a namespace until the test ends. */
function inside(netns: string | undefined, ...command: string[]): ChildProcess {
  const child = spawn("nsenter", [`--net=${netns}`, "/bin/busybox", ...command], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  children.push(child);
  return child;
}

async function says(host: string, port: number): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      const { promise, resolve } = Promise.withResolvers<string>();
      let text = "";
      await Bun.connect({
        hostname: host,
        port,
        socket: {
          data: (_, bytes) => {
            text += bytes.toString();
          },
          close: () => resolve(text),
          error: () => resolve("error"),
        },
      });
      return await promise;
    } catch (error) {
      if (attempt === 40) throw error;
      await Bun.sleep(25);
    }
  }
}

function answer(netns: string | undefined, port: number, text: string): void {
  const script = join(directory, text);
  writeFileSync(script, `#!/bin/sh\necho ${text}\n`, { mode: 0o755 });
  inside(netns, "nc", "-ll", "-p", String(port), "-e", script);
}

function linkNames(): string[] {
  using netlink = new Netlink();
  return listLinks(netlink).map(({ name }) => name);
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  return Fault.from(
    await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
}

describe("the default bridge", () => {
  test("joins containers, and publishes their ports on every address and through 127.0.0.1", async () => {
    const one = await attach(a, {
      PortBindings: {
        "80/tcp": [{ HostPort: "8080" }],
        "81/tcp": [{ HostIp: "127.0.0.1", HostPort: "8081" }],
      },
    });
    const two = await attach(b);
    expect(one.endpoints[0]).toMatchObject({
      ipAddress: "172.17.0.2",
      gateway: "172.17.0.1",
      macAddress: "02:42:ac:11:00:02",
    });
    expect(two.endpoints[0]?.ipAddress).toBe("172.17.0.3");
    answer(one.netnsPath, 80, "eighty");
    answer(one.netnsPath, 81, "eightyone");
    expect(await says("127.0.0.1", 8080)).toBe("eighty\n");
    expect(await says("172.17.0.1", 8080)).toBe("eighty\n");
    expect(await says("172.17.0.2", 80)).toBe("eighty\n");
    expect(await says("127.0.0.1", 8081)).toBe("eightyone\n");
    const from = (address: string, port: number) =>
      spawnSync(
        "nsenter",
        [`--net=${two.netnsPath}`, "/bin/busybox", "nc", "-w", "1", address, String(port)],
        { input: "" },
      ).stdout.toString();
    expect(from("172.17.0.2", 80)).toBe("eighty\n");
    expect(from("172.17.0.1", 8080)).toBe("eighty\n");
    expect(from("172.17.0.1", 8081)).toBe("");
  });

  test("publishes UDP", async () => {
    const one = await attach(a, { PortBindings: { "53/udp": [{ HostPort: "5353" }] } });
    const script = `Bun.udpSocket({ port: 53, hostname: "0.0.0.0", socket: { data: (_, bytes) => console.log(String(bytes)) } })`;
    const server = spawn("nsenter", [`--net=${one.netnsPath}`, process.execPath, "-e", script]);
    children.push(server);
    const heard = new Promise<string>((resolve) => {
      server.stdout.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    });
    // Until the server is there, sending is answered with refusals.
    const socket = await Bun.udpSocket({ socket: { error: () => undefined } });
    const again = setInterval(() => socket.send("ping", 5353, "127.0.0.1"), 50);
    try {
      expect(await heard).toStartWith("ping");
    } finally {
      clearInterval(again);
      socket.close();
    }
  });

  test("gives everything back, also twice", async () => {
    const before = linkNames();
    const { netnsPath } = await attach(a, { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } });
    expect(await attach(a)).toMatchObject({ netnsPath });
    expect(runNft("list map inet wherry-t1 any")).toContain("tcp . 8080");
    await networks.detach(a);
    await networks.detach(a);
    await until(() => linkNames().length <= before.length);
    expect(linkNames()).toEqual(before);
    expect(runNft("list map inet wherry-t1 any")).not.toContain("8080");
    expect(mountsBeneath(directory).map(({ target }) => target)).not.toContain(netnsPath);
    expect(networks.sandbox(a)).toBeUndefined();
    await attach(b, { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } });
  });

  test("is decided before it is made: nothing is on the host yet, and a check finds nothing amiss", async () => {
    const before = linkNames();
    const host = { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } };
    const endpoints = { bridge: {} };
    const request = { containerId: a, name: "ca", hostname: "box", config: {}, host, endpoints, signal };
    const sandbox = await networks.attach(request);
    expect(sandbox.endpoints[0]?.ipAddress).not.toBe("");
    expect(linkNames()).toEqual(before);
    expect(runNft("list map inet wherry-t1 any")).not.toContain("8080");
    const findings = networks.findings({ isKnown: () => true, looked: () => undefined });
    expect(await Array.fromAsync(findings)).toEqual([]);
    await networks.plug(a);
    await networks.plug(a);
    expect(linkNames()).toHaveLength(before.length + 1);
    expect(runNft("list map inet wherry-t1 any")).toContain("tcp . 8080");
    await networks.detach(a);
    await networks.attach(request);
    await networks.detach(a);
    await networks.plug(a);
    expect(networks.sandbox(a)).toBeUndefined();
  });

  test("says who has a port that is taken", async () => {
    await attach(a, { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } });
    const byContainer = await faultOf(attach(b, { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } }));
    expect(byContainer.message).toContain(
      "Bind for 0.0.0.0:8080 failed: port is already allocated (by container ca",
    );
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const byProcess = await faultOf(
      attach(b, { PortBindings: { "80/tcp": [{ HostPort: String(server.port) }] } }),
    );
    expect(byProcess.message).toContain(`address already in use (by process ${process.pid}, `);
    server.stop(true);
    const nowhere = await faultOf(
      attach(b, { PortBindings: { "80/tcp": [{ HostIp: "192.0.2.77", HostPort: "80" }] } }),
    );
    expect(nowhere.message).toContain("this host has no address 192.0.2.77");
    expect(networks.sandbox(b)).toBeUndefined();
  });

  test("finds a free port in a range, or anywhere", async () => {
    await attach(a, { PortBindings: { "80/tcp": [{ HostPort: "9000" }] } });
    const { ports } = await attach(
      b,
      { PortBindings: { "80/tcp": [{ HostPort: "9000-9005" }, {}] }, PublishAllPorts: true },
      { config: { ExposedPorts: { "99/tcp": {} } } },
    );
    expect(ports[0]?.hostPort).toBe(9001);
    expect(ports[2]?.hostPort).toBeGreaterThan(1024);
    expect(ports.map(({ hostIp }) => hostIp)).toEqual(["0.0.0.0", "::", "0.0.0.0", "::", "0.0.0.0", "::"]);
    expect(ports[4]).toMatchObject({ containerPort: 99, protocol: "tcp" });
  });
});

test("host, none and another container's network", async () => {
  expect((await attach(a, { NetworkMode: "host" })).netnsPath).toBeUndefined();
  await networks.detach(a);
  const none = await attach(a, { NetworkMode: "none" });
  expect(none.endpoints).toMatchObject([{ networkName: "none", ipAddress: "", interfaceName: "" }]);
  await networks.detach(a);
  const one = await attach(a);
  const joined = await attach(b, { NetworkMode: `container:${a}` }, { joins: a });
  expect(joined.netnsPath).toBe(one.netnsPath);
  // The owner goes first: its address must not stay in use.
  await networks.detach(a);
  expect(linkNames().filter((name) => name.startsWith("wv"))).toEqual([]);
  expect((await faultOf(attach(a, { NetworkMode: "nosuch" }))).message).toBe(
    "could not find a network matching network mode nosuch: network nosuch not found",
  );
});

test("an engine that comes back finds its networks, keeps the ports, and drops what nobody has any more", async () => {
  const one = await attach(a, { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } });
  const two = await attach(b, { PortBindings: { "80/tcp": [{ HostPort: "8090" }] } });
  answer(one.netnsPath, 80, "still");
  expect(await says("127.0.0.1", 8080)).toBe("still\n");
  await networks[Symbol.asyncDispose]();
  runNft("delete table inet wherry-t1");
  networks = await open();
  await networks.prepare(new Set([a]));
  expect(reports).toEqual([]);
  expect(await says("127.0.0.1", 8080)).toBe("still\n");
  expect(networks.sandbox(b)).toBeUndefined();
  const pairs = () => linkNames().filter((name) => name.startsWith("wv"));
  await until(() => pairs().length <= 1);
  expect(pairs()).toEqual([one.endpoints[0]?.hostInterface ?? ""]);
  expect(readdirSync(join(directory, "exec/netns"))).not.toContain(two.netnsPath?.split("/").at(-1) ?? "");
  expect(
    (await faultOf(attach(b, { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } }))).message,
  ).toContain("already allocated");
});

test("name files hold what the container and its request say", async () => {
  const sandbox = await attach(a);
  const host: HostConfig = {
    ExtraHosts: ["db:10.0.0.9", "up:host-gateway"],
    Dns: ["9.9.9.9"],
    DnsSearch: ["corp"],
    DnsOptions: ["ndots:1"],
  };
  const record = { config: { Domainname: "lan" }, host } as ContainerRecord;
  const { hosts, resolvConf } = await networks.files(record, sandbox, "box");
  expect(hosts).toStartWith("127.0.0.1\tlocalhost\n");
  expect(hosts).toEndWith("10.0.0.9\tdb\n172.17.0.1\tup\n172.17.0.2\tbox.lan box\n");
  expect(resolvConf).toBe("nameserver 9.9.9.9\nsearch corp\noptions ndots:1\n");
});
