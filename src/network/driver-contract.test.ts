/** Every driver of networks, by the same tests, in a host of the tests' own. A new driver is one more line in `drivers`. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLink, listLinks, setUp } from "#kernel/links.ts";
import { mountsBeneath } from "#kernel/mount.ts";
import { Netlink } from "#kernel/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace, stayInNamespace } from "#kernel/netns.ts";
import type { Endpoint, NetworkRecord } from "#spec/network.ts";
import { BridgeDriver } from "./bridge-driver.ts";
import type { NetworkDriver } from "./driver.ts";
import { Firewall } from "./firewall.ts";
import { hostDriver, nullDriver } from "./plain-drivers.ts";

const drivers: readonly [string, () => NetworkDriver][] = [
  [
    "bridge",
    () => {
      const firewall = new Firewall({
        table: "wherry-contract",
        content: () => ({ families: [4, 6], networks: [], published: [] }),
        mode: "strict",
        bridgePrefix: "whcontr",
        report: (fault) => {
          throw fault;
        },
      });
      firewall.start();
      return new BridgeDriver("contract", firewall);
    },
  ],
  ["host", () => hostDriver],
  ["null", () => nullDriver],
];

let directory: string;
let home: Disposable;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-driver-"));
  for (const name of ["host", "one", "two"])
    makeNamespace(join(directory, name), () => {
      using netlink = new Netlink();
      setUp(netlink, 1);
    });
  home = stayInNamespace(join(directory, "host"));
});
afterEach(() => {
  home[Symbol.dispose]();
  for (const { target } of mountsBeneath(directory)) removeNamespace(target);
  rmSync(directory, { recursive: true, force: true });
});

function links(): string[] {
  using netlink = new Netlink();
  return listLinks(netlink)
    .map(({ name }) => name)
    .sort();
}

function inside(netns: string, name: string): boolean {
  return inNamespace(join(directory, netns), () => {
    using netlink = new Netlink();
    return findLink(netlink, name) !== undefined;
  });
}

function network(driver: NetworkDriver, o: Partial<NetworkRecord> = {}): NetworkRecord {
  const id = "f".repeat(64);
  return {
    ...{
      id,
      name: "n",
      driver: driver.name,
      created: "",
      ipv4: true,
      ipv6: false,
      internal: false,
      attachable: false,
    },
    ...{ configOnly: false, configFrom: "", options: {}, labels: {}, ownsDevice: true },
    ipam: { driver: "default", options: null, config: [] },
    pools: driver.addressed ? [{ subnet: "10.90.0.0/24", gateway: "10.90.0.1", auxiliary: {} }] : [],
    device: driver.device({ id, options: {}, internal: false }),
    ...o,
  };
}

function endpoint(driver: NetworkDriver, record: NetworkRecord, number: number): Endpoint {
  const has = driver.addressed;
  return {
    networkId: record.id,
    networkName: record.name,
    endpointId: String(number).repeat(64),
    ipAddress: has ? `10.90.0.${number + 1}` : "",
    prefixLength: has ? 24 : 0,
    gateway: has ? "10.90.0.1" : "",
    ...{ ip6Address: "", prefixLength6: 0, gateway6: "" },
    macAddress: has ? `02:42:0a:5a:00:0${number + 1}` : "",
    interfaceName: has ? `${driver.interfacePrefix(record)}0` : "",
    hostInterface: has ? `${driver.hostPrefix}${String(number).repeat(11)}` : "",
    gatewayPriority: 0,
    dnsNames: [],
    links: [],
  };
}

function plug(driver: NetworkDriver, record: NetworkRecord, one: Endpoint, netns: string): void {
  const descriptor = openSync(join(directory, netns), "r");
  try {
    driver.plug(record, one, descriptor);
  } finally {
    closeSync(descriptor);
  }
}

for (const [name, make] of drivers)
  describe(`the ${name} driver`, () => {
    test("makes a network, again and again, and takes it away, again and again", () => {
      using driver = make();
      const before = links();
      const record = network(driver);
      expect(driver.present(record.device)).toBe(false);
      for (let times = 0; times < 2; times++) driver.make(record);
      expect(links()).toEqual([...before, ...(record.device === "" ? [] : [record.device])].sort());
      for (let times = 0; times < 2; times++) driver.remove(record);
      expect(links()).toEqual(before);
    });

    test("plugs endpoints by name, and unplugs them, again and again", () => {
      using driver = make();
      const record = network(driver);
      driver.make(record);
      const before = links();
      const [one, two] = [endpoint(driver, record, 1), endpoint(driver, record, 2)];
      plug(driver, record, one, "one");
      plug(driver, record, two, "two");
      if (driver.addressed)
        expect([inside("one", one.interfaceName), inside("two", "lo")]).toEqual([true, true]);
      expect(links().length).toBe(before.length + (driver.hostPrefix === "" ? 0 : 2));
      for (let times = 0; times < 2; times++) driver.unplug(record, one, join(directory, "one"));
      driver.sweep(record, new Set([two.hostInterface]));
      expect(links().includes(two.hostInterface) || two.hostInterface === "").toBe(true);
      driver.sweep(record, new Set());
      expect(links()).toEqual(before);
      driver.remove(record);
    });

    test("leaves nothing of a plug that fails", () => {
      using driver = make();
      const record = network(driver);
      driver.make(record);
      const before = links();
      const one = endpoint(driver, record, 1);
      if (driver.addressed) {
        const descriptor = openSync("/dev/null", "r");
        expect(() => driver.plug(record, one, descriptor)).toThrow();
        closeSync(descriptor);
      }
      expect(links()).toEqual(before);
      driver.remove(record);
    });

    test("says no to a network that is not there any more", () => {
      using driver = make();
      const record = network(driver);
      if (driver.addressed)
        expect(() => plug(driver, record, endpoint(driver, record, 1), "one")).toThrow("not there");
    });

    test("leads nowhere and publishes nothing on an internal network", () => {
      using driver = make();
      const record = network(driver, { internal: true });
      expect([driver.leadsOut(record), driver.publishing(record)]).toEqual([false, undefined]);
    });

    test("names devices of different networks differently, within what the kernel takes", () => {
      using driver = make();
      const [one, other] = ["a", "b"].map((letter) =>
        driver.device({ id: letter.repeat(64), options: {}, internal: false }),
      );
      if (driver.single) expect([one, other]).toEqual(["", ""]);
      else expect(one).not.toBe(other ?? "");
      expect(one?.length).toBeLessThanOrEqual(15);
    });
  });

test("a bridge that was there before its network stays behind it", () => {
  using driver = drivers[0]?.[1]() ?? hostDriver;
  const own = network(driver);
  driver.make(own);
  const record = network(driver, { ownsDevice: false, id: "e".repeat(64) });
  driver.make(record);
  driver.remove(record);
  expect(links()).toContain(own.device);
  driver.remove(own);
});
