/**
 * Containers of two engines on one host come, go, move between networks and change their ports at random, and the engines end
 * and come back in between; after that the kernel has what the records say, element by element. The seed is printed when it
 * fails; set `seed` to it to see the same walk again. WALK_STEPS=1000 walks further.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { makeNamespace, removeNamespace, stayInNamespace } from "#kernel/network/netns.ts";
import { Networks } from "#network/networks.ts";
import type { EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { familyOf } from "#spec/ip.ts";
import { addressesOf, type NetworkCreateRequest } from "#spec/network.ts";
import { Records } from "#store/records.ts";
import { until } from "./told.ts";
import {
  differences,
  knownNeighbours,
  neighbourDifferences,
  sandboxesOf,
  type Walker,
} from "./walk-differences.ts";

const steps = Number(process.env["WALK_STEPS"] ?? "150");
const seed = Date.now() % 2 ** 31;
const { signal } = new AbortController();

interface Walking extends Walker {
  networks: Networks;
  readonly name: string;
  readonly records: Records;
  readonly execRoot: string;
}

let directory: string;
let home: Disposable;
let walkers: Walking[];

async function open({ execRoot, name, records }: Omit<Walking, "networks">): Promise<Networks> {
  return await Networks.open({
    ...{ records, execRoot, name, now: () => "2026-01-01T00:00:00Z" },
    relayThread: new URL("../../src/bin/relay-thread.ts", import.meta.url),
    report: (fault) => {
      throw fault;
    },
  });
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "wherry-walk-"));
  makeNamespace(join(directory, "host"), () => {
    using netlink = new Netlink();
    setUp(netlink, 1);
  });
  home = stayInNamespace(join(directory, "host"));
  walkers = [];
  for (const [name, letters] of [
    ["walk", "abcd"],
    ["beside", "efgh"],
  ] as const) {
    const records = Records.open(join(directory, `${name}.db`));
    const ids = [...letters].map((letter) => letter.repeat(64));
    const walker = { name, ids, records, execRoot: join(directory, name), table: `wherry-${name}` };
    const networks = await open(walker);
    walkers.push({ ...walker, networks });
    await networks.prepare(new Set());
    for (const each of kinds) await networks.create({ ...plain, ...each });
    // Few addresses: they come to others again and again.
    const Subnet = `10.99.${walkers.length}.0/29`;
    await networks.create({ ...plain, name: "few", ipam: { ...plain.ipam, config: [{ Subnet }] } });
  }
});
afterEach(async () => {
  for (const { networks } of walkers) await networks[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  for (const { target } of mountsBeneath(directory)) removeNamespace(target);
  for (const { records } of walkers) records[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

const plain: NetworkCreateRequest = {
  ...{ name: "", driver: "bridge", scope: "", ingress: false, ipv4: true, ipv6: false, internal: false },
  ...{ attachable: false, configOnly: false, configFrom: "", options: {}, labels: {} },
  ipam: { driver: "", options: null, config: [] },
};
const routed = { "com.docker.network.bridge.gateway_mode_ipv4": "routed" };
const kinds: readonly Partial<NetworkCreateRequest>[] = [
  { name: "one" },
  { name: "both", ipv6: true },
  { name: "six", ipv4: false, ipv6: true },
  { name: "in", internal: true },
  { name: "routed", options: routed },
  { name: "alone", driver: "macvlan", ipv6: true },
];
const made = ["few", ...kinds.map(({ name }) => name ?? "")];
const names = ["bridge", "few", "few", ...made];

/** Numbers below `count` by mulberry32. */
function dice(start: number): (count: number) => number {
  let state = start;
  return (count) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  };
}

/** Of hardware and of its own: whoever has an address after somebody else has other hardware. */
const settingsOf = (id: string, name: string): EndpointSettings =>
  name === "few" ? { MacAddress: `02:42:0a:00:00:${(id.codePointAt(0) ?? 0).toString(16)}` } : {};

/** The host and each container of a walker have heard of one another. */
async function meet(walker: Walking): Promise<void> {
  const socket = await Bun.udpSocket({ socket: { error: () => undefined } });
  const six = await Bun.udpSocket({ hostname: "::", socket: { error: () => undefined } });
  const addresses = sandboxesOf(walker).flatMap(({ endpoints }) =>
    endpoints.filter(({ hostInterface }) => hostInterface !== "").flatMap(addressesOf),
  );
  await until(() => {
    const known = knownNeighbours();
    const missing = addresses.filter((address) => !known.has(address));
    for (const address of missing)
      try {
        (familyOf(address) === 4 ? socket : six).send("?", 9, address);
      } catch {
        // What one before it met: nobody listens.
      }
    return missing.length === 0;
  }, `seed ${seed}: every container is known to the host`);
  socket.close();
  six.close();
  expect([seed, neighbourDifferences(walkers)]).toEqual([seed, []]);
}

/** Whose second port is `more`, when it has one. */
function member(id: string, more?: number) {
  const first = 20_000 + id.charCodeAt(0);
  const second = more === undefined ? [] : [{ HostPort: String(first + 100 * (more + 1)) }];
  return {
    ...{ containerId: id, name: `box-${id[0]}`, hostname: "box", config: {} },
    host: { PortBindings: { "80/tcp": [{ HostPort: String(first) }, ...second] } },
  };
}

async function step({ ids, networks }: Walking, roll: (count: number) => number): Promise<void> {
  const id = ids[roll(ids.length)] ?? "";
  const name = names[roll(names.length)] ?? "";
  switch (roll(6)) {
    case 0:
    case 1:
      await networks.attach({ ...member(id), endpoints: { [name]: settingsOf(id, name) }, signal });
      await networks.plug(id);
      return;
    case 2: {
      const on = networks.sandbox(id)?.endpoints.some(({ networkName }) => networkName === name);
      if (on === false)
        await networks.connect(member(id), networks.get(name), {
          ...{ GwPriority: roll(3), ...settingsOf(id, name) },
        });
      return;
    }
    case 3:
      await networks.disconnect(member(id), networks.get(name));
      return;
    case 4:
      await networks.republish(member(id, [undefined, 1, 2][roll(3)]));
      return;
    default:
      await networks.detach(id);
  }
}

async function comeBack(walker: Walking): Promise<void> {
  const alive = new Set(sandboxesOf(walker).map(({ containerId }) => containerId));
  await walker.networks[Symbol.asyncDispose]();
  walker.networks = await open(walker);
  await walker.networks.prepare(alive);
}

/** A pair goes with its namespace a moment later. */
async function settled(): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    const found = differences(walkers);
    if (found.length === 0 || attempt > 40) return found;
    await Bun.sleep(50);
  }
}

test(`${steps} steps of two engines later the kernel has what the records say`, async () => {
  const roll = dice(seed);
  for (let at = 0; at < steps; at++) {
    try {
      const walker = walkers[roll(walkers.length)];
      if (walker === undefined) throw new Error("nobody walks");
      await step(walker, roll);
      if (at % 25 === 24) await meet(walker);
      if (at % 50 === 49) await comeBack(walker);
    } catch (thrown) {
      throw new Error(`seed ${seed}, step ${at}: ${Fault.from(thrown).message}`, { cause: thrown });
    }
  }
  for (const walker of walkers) await meet(walker);
  expect([seed, await settled()]).toEqual([seed, []]);
  for (const walker of walkers) {
    const { execRoot, ids, name, networks } = walker;
    // Three namespaces are kept ready-made.
    const namespaces = readdirSync(join(execRoot, "netns")).length;
    expect([seed, name, namespaces <= sandboxesOf(walker).length + 3]).toEqual([seed, name, true]);
    for (const id of ids) await networks.detach(id);
    for (const each of made) await networks.remove(each);
  }
  expect([seed, await settled(), walkers.map(({ networks }) => networks.list().length)]).toEqual([
    seed,
    [],
    [3, 3],
  ]);
}, 120_000);
