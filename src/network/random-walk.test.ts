/**
 * Containers come, go, and move between networks at random, and the engine dies in between; after that the kernel has what
 * the records say, element by element. The seed is printed when it fails; set `seed` to it to see the same walk again.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listLinks, setUp } from "#kernel/links.ts";
import { mountsBeneath } from "#kernel/mount.ts";
import { Netlink } from "#kernel/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace, stayInNamespace } from "#kernel/netns.ts";
import { runNft } from "#kernel/nftables.ts";
import { Fault } from "#spec/fault.ts";
import type { NetworkCreateRequest } from "#spec/network.ts";
import { Records } from "#store/records.ts";
import { Networks } from "./networks.ts";

const steps = 150;
const seed = Date.now() % 2 ** 31;
const ids = ["a", "b", "c", "d", "e"].map((letter) => letter.repeat(64));
const { signal } = new AbortController();

let directory: string;
let home: Disposable;
let records: Records;
let networks: Networks;

async function open(): Promise<Networks> {
  return await Networks.open({
    ...{ records, execRoot: join(directory, "exec"), name: "walk", now: () => "2026-01-01T00:00:00Z" },
    report: (fault) => {
      throw fault;
    },
  });
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-walk-"));
  makeNamespace(join(directory, "host"), () => {
    using netlink = new Netlink();
    setUp(netlink, 1);
  });
  home = stayInNamespace(join(directory, "host"));
  records = Records.open(join(directory, "records.db"));
});
afterEach(() => {
  networks[Symbol.dispose]();
  home[Symbol.dispose]();
  for (const { target } of mountsBeneath(directory)) removeNamespace(target);
  records[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

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

function request(name: string, internal: boolean): NetworkCreateRequest {
  return {
    ...{ name, driver: "bridge", scope: "", ingress: false, ipv4: true, ipv6: false, internal },
    ...{ attachable: false, configOnly: false, configFrom: "", options: {}, labels: {} },
    ipam: { driver: "", options: null, config: [] },
  };
}

const member = (id: string) => ({
  ...{ containerId: id, name: `box-${id[0]}`, hostname: "box", config: {} },
  host: { PortBindings: { "80/tcp": [{ HostPort: String(20_000 + ids.indexOf(id)) }] } },
});

async function step(roll: (count: number) => number): Promise<void> {
  const id = ids[roll(ids.length)] ?? "";
  const name = ["bridge", "one", "two", "in"][roll(4)] ?? "";
  switch (roll(5)) {
    case 0:
    case 1:
      await networks.attach({ ...member(id), endpoints: { [name]: {} }, signal });
      return;
    case 2: {
      const on = networks.sandbox(id)?.endpoints.some(({ networkName }) => networkName === name);
      if (on === false) await networks.connect(member(id), networks.get(name), { GwPriority: roll(3) });
      return;
    }
    case 3:
      await networks.disconnect(member(id), networks.get(name));
      return;
    default:
      await networks.detach(id);
  }
}

/** What differs between the records and the kernel, in words. */
function differences(): string[] {
  const found: string[] = [];
  const same = (what: string, is: readonly string[], should: readonly string[]) => {
    if (JSON.stringify([...is].sort()) !== JSON.stringify([...should].sort()))
      found.push(`${what}: ${[...is].sort()} instead of ${[...should].sort()}`);
  };
  const sandboxes = ids.flatMap((id) => networks.sandbox(id) ?? []);
  const endpoints = sandboxes.flatMap((each) => each.endpoints);
  using netlink = new Netlink();
  const links = listLinks(netlink);
  same(
    "pairs",
    links.map(({ name }) => name).filter((name) => name.startsWith("wv")),
    endpoints.map(({ hostInterface }) => hostInterface),
  );
  for (const { networkId, hostInterface } of endpoints) {
    const bridge = links.find(({ name }) => name === networks.get(networkId).device);
    if (links.find(({ name }) => name === hostInterface)?.master !== bridge?.index)
      found.push(`${hostInterface} is on another bridge`);
  }
  const addresses = endpoints.map(({ networkId, ipAddress }) => `${networkId} ${ipAddress}`);
  if (new Set(addresses).size !== addresses.length) found.push("an address is had twice");
  for (const sandbox of sandboxes) {
    const inside = inNamespace(sandbox.netnsPath ?? "", () => {
      using own = new Netlink();
      return listLinks(own).map(({ name }) => name);
    });
    same("interfaces", inside, ["lo", ...sandbox.endpoints.map(({ interfaceName }) => interfaceName)]);
  }
  const open = [...runNft("list map inet wherry-walk any").matchAll(/tcp \. (\d+) : ([\d.]+)/g)];
  const ports = sandboxes.flatMap(({ ports: own }) => own.map(({ hostPort }) => String(hostPort)));
  same(
    "ports",
    open.map(([, port = ""]) => port),
    ports,
  );
  for (const [, port, address] of open)
    if (!endpoints.some(({ ipAddress }) => ipAddress === address))
      found.push(`${port} leads to ${address}, nobody's`);
  const namespaces = readdirSync(join(directory, "exec/netns")).length;
  // Three are kept ready-made.
  if (namespaces > sandboxes.length + 3)
    found.push(`${namespaces} namespaces for ${sandboxes.length} containers`);
  return found;
}

test(`${steps} steps later the kernel has what the records say`, async () => {
  const roll = dice(seed);
  networks = await open();
  await networks.prepare(new Set());
  for (const [name, internal] of [
    ["one", false],
    ["two", false],
    ["in", true],
  ] as const)
    await networks.create(request(name, internal));
  for (let at = 0; at < steps; at++) {
    try {
      await step(roll);
      if (at % 50 === 49) {
        networks[Symbol.dispose]();
        networks = await open();
        await networks.prepare(new Set(ids.filter((id) => networks.sandbox(id) !== undefined)));
      }
    } catch (thrown) {
      throw new Error(`seed ${seed}, step ${at}: ${Fault.from(thrown).message}`, { cause: thrown });
    }
  }
  // A pair goes with its namespace a moment later.
  for (let attempt = 0; differences().length > 0 && attempt < 80; attempt++) await Bun.sleep(25);
  expect([seed, differences()]).toEqual([seed, []]);
  for (const id of ids) await networks.detach(id);
  for (const name of ["one", "two", "in"]) await networks.remove(name);
  for (let attempt = 0; differences().length > 0 && attempt < 80; attempt++) await Bun.sleep(25);
  expect([seed, differences(), networks.list().length]).toEqual([seed, [], 3]);
}, 60_000);
