/**
 * What networks cost: a start on a bridge, attaching among many, one port more among many, throughput, answers to names. With
 * `--peer unix://…` throughput and names beside another engine's, in turns. A table to read, not a test.
 *   npm run bench -- --network [--peer unix:///… --peer-netns PATH] [--runs 15]
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client } from "#client/client.ts";
import { setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { makeNamespace, removeNamespace, stayInNamespace } from "#kernel/network/netns.ts";
import { Networks } from "#network/networks.ts";
import type { HostConfig } from "#spec/container.ts";
import { Records } from "#store/records.ts";
import { EngineUnderTest } from "../live/engine-under-test.ts";

const { values } = parseArgs({
  options: {
    network: { type: "boolean" },
    peer: { type: "string" },
    "peer-netns": { type: "string" },
    runs: { type: "string", default: "15" },
  },
});
const runs = Number(values.runs);
const loadProgram = join(import.meta.dir, "network-load.ts");
const [servedPort, publishedPort, loadSeconds] = [5201, 15_201, 2];

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[samples.length >> 1] ?? 0;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

function row(name: string, ...cells: string[]): void {
  process.stdout.write(`${name.padEnd(52)}${cells.map((cell) => cell.padStart(16)).join("")}\n`);
}

/** Networks in this process, in a host of their own. */
async function inProcess(work: (networks: Networks) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "wherry-bench-networks-"));
  const host = join(directory, "host");
  makeNamespace(host, () => {
    using netlink = new Netlink();
    setUp(netlink, 1);
  });
  const home = stayInNamespace(host);
  const records = Records.open(join(directory, "records.db"));
  const networks = await Networks.open({
    ...{ records, execRoot: join(directory, "exec"), name: "bench" },
    now: () => new Date().toISOString(),
    report: (fault) => process.stderr.write(`${fault.message}\n`),
  });
  try {
    await networks.prepare(new Set());
    await work(networks);
  } finally {
    await networks[Symbol.asyncDispose]();
    home[Symbol.dispose]();
    records[Symbol.dispose]();
    removeNamespace(host);
    rmSync(directory, { recursive: true, force: true });
  }
}

const { signal } = new AbortController();
let made = 0;

async function attach(networks: Networks, network: string, host: HostConfig = {}): Promise<string> {
  const containerId = (++made).toString(16).padStart(64, "0");
  const name = `c${made}`;
  await networks.attach({
    ...{ containerId, name, hostname: name, config: {}, host, signal, endpoints: { [network]: {} } },
  });
  await networks.plug(containerId);
  return containerId;
}

async function attachAndDetach(networks: Networks, network: string, port?: number): Promise<number> {
  const host = port === undefined ? {} : { PortBindings: { "80/tcp": [{ HostPort: String(port) }] } };
  const samples: number[] = [];
  for (let round = 0; round < runs; round++) {
    samples.push(
      await timed(async () => {
        const id = await attach(networks, network, host);
        await networks.detach(id);
      }),
    );
    // Namespaces are made ready again between starts, as in an engine at rest.
    await Bun.sleep(60);
  }
  return median(samples);
}

async function amongMany(endpoints: number, ports: number): Promise<void> {
  await inProcess(async (networks) => {
    await networks.create({
      ...{ name: "n", driver: "bridge", scope: "", ingress: false, ipv4: true, ipv6: false, internal: false },
      ...{ attachable: false, configOnly: false, configFrom: "", options: {}, labels: {} },
      ipam: { driver: "", options: null, config: [] },
    });
    const alone = await attachAndDetach(networks, "n");
    const first = await attachAndDetach(networks, "n", 30_000);
    const ids: string[] = [];
    while (ids.length < endpoints) ids.push(await attach(networks, "n"));
    const crowded = await attachAndDetach(networks, "n");
    row(`attach and detach, alone / among ${endpoints}`, ms(alone), ms(crowded), ratio(crowded, alone));
    for (const id of ids) await networks.detach(id);
    const PortBindings = Object.fromEntries(
      Array.from({ length: ports }, (_, index) => [
        `${index + 1}/tcp`,
        [{ HostPort: String(31_000 + index) }],
      ]),
    );
    const many = await attach(networks, "n", { PortBindings });
    const next = await attachAndDetach(networks, "n", 30_000);
    row(`the same with a port, the first / after ${ports}`, ms(first), ms(next), ratio(next, first));
    await networks.detach(many);
  });
}

const ms = (value: number) => `${value.toFixed(2)} ms`;
const ratio = (one: number, other: number) => `x${(one / other).toFixed(2)}`;

interface Side {
  readonly name: string;
  readonly client: Client;
  readonly netns: string;
}

async function run(side: Side, name: string, host: HostConfig): Promise<string> {
  const { Id } = await side.client.containers.create(
    {
      ...{ Image: "busybox", Cmd: ["sleep", "6000"], HostConfig: host },
      // dockerd publishes nothing that is not exposed, too.
      ExposedPorts: Object.fromEntries(Object.keys(host.PortBindings ?? {}).map((port) => [port, {}])),
    },
    { name: `wherry-bench-${name}` },
  );
  await side.client.containers.start(Id);
  return Id;
}

async function starts(side: Side): Promise<void> {
  const samples = new Map<string, number[]>([
    ["none", []],
    ["bridge", []],
  ]);
  for (let round = 0; round < runs * 10; round++)
    for (const [NetworkMode, list] of samples) {
      const { Id } = await side.client.containers.create({
        Image: "busybox",
        Cmd: ["sleep", "600"],
        HostConfig: { NetworkMode },
      });
      list.push(await timed(async () => await side.client.containers.start(Id)));
      await side.client.containers.remove(Id, { force: true });
    }
  const [none, bridge] = [samples.get("none") ?? [], samples.get("bridge") ?? []];
  // Of those beside each other: a machine's moods are as large as what is asked.
  const more = median(bridge.map((each, round) => each - (none[round] ?? 0)));
  row(
    "start with network none / on a bridge",
    ms(median(none)),
    ms(median(bridge)),
    `${more < 0 ? "" : "+"}${ms(more)}`,
  );
}

function load(netns: string, ...args: string[]): Record<string, number> {
  const words = [`--net=${netns}`, process.execPath, loadProgram, ...args];
  const { stdout, stderr } = spawnSync("nsenter", words, { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

async function serving(netns: string): Promise<ChildProcess> {
  const words = [`--net=${netns}`, process.execPath, loadProgram, "serve", String(servedPort)];
  const child = spawn("nsenter", words, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

/** Throughput and names of each side, in turns. */
async function loads(sides: readonly Side[]): Promise<void> {
  const network = "wherry-bench-net";
  const children: ChildProcess[] = [];
  const prepared = await Promise.all(
    sides.map(async (side) => {
      await side.client.networks.create({ Name: network });
      const PortBindings = { [`${servedPort}/tcp`]: [{ HostPort: String(publishedPort) }] };
      const served = await run(side, "served", { NetworkMode: network, PortBindings });
      const asker = await run(side, "asker", { NetworkMode: network });
      const [one, other] = await Promise.all([served, asker].map((id) => side.client.containers.inspect(id)));
      const netnsOf = (pid = 0) => `/proc/${pid}/ns/net`;
      children.push(await serving(netnsOf(one?.State.Pid)));
      const { IPAddress = "", Gateway = "" } = one?.NetworkSettings.Networks[network] ?? {};
      return {
        side,
        ids: [served, asker],
        asker: netnsOf(other?.State.Pid),
        address: IPAddress,
        gateway: Gateway,
      };
    }),
  );
  const figures: readonly (readonly [
    string,
    string,
    (at: (typeof prepared)[number]) => Record<string, number>,
  ])[] = [
    [
      "container to container, MB/s",
      "megabytesPerSecond",
      (at) => load(at.asker, "receive", at.address, String(servedPort), String(loadSeconds)),
    ],
    [
      "host to a published port, MB/s",
      "megabytesPerSecond",
      (at) => load(at.side.netns, "receive", at.gateway, String(publishedPort), String(loadSeconds)),
    ],
    [
      "answers to names per second",
      "answersPerSecond",
      (at) => load(at.asker, "ask", "wherry-bench-served", String(loadSeconds), "16"),
    ],
    [
      "the slowest of a hundred answers, ms",
      "p99Ms",
      (at) => load(at.asker, "ask", "wherry-bench-served", String(loadSeconds), "16"),
    ],
  ];
  try {
    for (const [name, key, measure] of figures) {
      const samples = prepared.map((): number[] => []);
      for (let round = 0; round < 3; round++)
        for (const [index, at] of prepared.entries()) samples[index]?.push(measure(at)[key] ?? 0);
      const [own = 0, peer] = samples.map(median);
      row(name, own.toFixed(1), ...(peer === undefined ? [] : [peer.toFixed(1), ratio(own, peer)]));
    }
  } finally {
    for (const child of children) child.kill("SIGKILL");
    for (const { side, ids } of prepared) {
      for (const id of ids) await side.client.containers.remove(id, { force: true });
      await side.client.networks.remove(network);
    }
  }
}

await using engine = await EngineUnderTest.start();
await engine.importBusybox();
const own: Side = { name: "wherry", client: await engine.client(), netns: engine.netns };
await starts(own);
await amongMany(500, 2000);
const sides = [own];
if (values.peer !== undefined && values["peer-netns"] !== undefined)
  sides.push({
    name: "peer",
    client: await Client.connect({ host: values.peer, version: "1.43" }),
    netns: values["peer-netns"],
  });
await loads(sides);
