/** Every driver of networks, by the same tests, in a host of the tests' own. A new driver is one more line in `drivers`. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountsBeneath } from "#kernel/mounts/mount.ts";
import { addPair, knowsKind } from "#kernel/network/child-links.ts";
import { findLink, listLinks, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace, stayInNamespace } from "#kernel/network/netns.ts";
import { Firewall } from "#network/firewall/firewall.ts";
import { configureInterfaces } from "#network/links/interfaces.ts";
import type { Endpoint, NetworkRecord } from "#spec/network.ts";
import { BridgeDriver } from "./bridge-driver.ts";
import type { NetworkDriver } from "./driver.ts";
import { ParentDriver } from "./parent-driver.ts";
import { hostDriver, nullDriver } from "./plain-drivers.ts";

const probe = new Netlink();
/** Kinds of interfaces that this machine's kernel does not make. */
const absent = (["macvlan", "ipvlan"] as const).filter((kind) => !knowsKind(probe, kind));
probe[Symbol.dispose]();

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
  ["macvlan", () => new ParentDriver("macvlan")],
  ["ipvlan", () => new ParentDriver("ipvlan")],
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

// A kernel without the module has nothing to test: refusing it by name is tested below.
for (const [name, make] of drivers)
  describe.skipIf(absent.some((kind) => kind === name))(`the ${name} driver`, () => {
    test("makes a network, again and again, and takes it away, again and again", () => {
      using driver = make();
      const before = links();
      const record = network(driver);
      expect(driver.present(record.device)).toBe(false);
      driver.make(record);
      const made = links();
      expect(made.includes(record.device)).toBe(record.device !== "");
      driver.make(record);
      expect(links()).toEqual(made);
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
      expect(links().filter((name) => name === two.hostInterface)).toHaveLength(
        driver.hostPrefix === "" ? 0 : 1,
      );
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

    test("carries packets between two endpoints, in IPv4 and IPv6", () => {
      using driver = make();
      if (!driver.addressed) return;
      const record = network(driver, {
        ipv6: true,
        pools: [
          { subnet: "10.90.0.0/24", gateway: "10.90.0.1", auxiliary: {} },
          { subnet: "fd00:90::/64", gateway: "fd00:90::1", auxiliary: {} },
        ],
      });
      driver.make(record);
      const both = (["one", "two"] as const).map((netns, index) => {
        const number = index + 1;
        const own = { ip6Address: `fd00:90::${number + 1}`, prefixLength6: 64 };
        const each = { ...endpoint(driver, record, number), ...own, gateway: "", gateway6: "" };
        plug(driver, record, each, netns);
        configureInterfaces(join(directory, netns), [[each, { linkLocal: [], sysctls: [] }]], [each]);
        return each;
      });
      for (const address of [both[1]?.ipAddress ?? "", both[1]?.ip6Address ?? ""]) {
        const enter = `--net=${join(directory, "one")}`;
        const { status } = spawnSync("nsenter", [
          enter,
          "/bin/busybox",
          "ping",
          "-c",
          "1",
          "-w",
          "3",
          address,
        ]);
        expect([address, status]).toEqual([address, 0]);
      }
      driver.remove(record);
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

test("kinds of interfaces the kernel does not make are refused by name", () => {
  for (const kind of absent) {
    using driver = new ParentDriver(kind);
    expect(() => driver.check({ options: {} })).toThrow(
      `this kernel makes no ${kind} interfaces: load its module`,
    );
  }
});

describe("networks on an interface of the host", () => {
  const onParent = (driver: NetworkDriver, options: Record<string, string>, id = "f".repeat(64)) =>
    network(driver, {
      id,
      options,
      device: driver.device({ id, options, internal: false }),
      ownsDevice: false,
    });

  test("leave it, and everything else of it, as it was", () => {
    using driver = new ParentDriver("macvlan");
    {
      using netlink = new Netlink();
      addPair(netlink, "lan0", "lan1");
    }
    const before = links();
    for (const macvlan_mode of ["bridge", "private", "vepa", "passthru"]) {
      const record = onParent(driver, { parent: "lan0", macvlan_mode });
      driver.make(record);
      const one = endpoint(driver, record, 1);
      plug(driver, record, one, "one");
      expect(inside("one", one.interfaceName)).toBe(true);
      driver.unplug(record, one, join(directory, "one"));
      expect(inside("one", one.interfaceName)).toBe(false);
      driver.remove(record);
      expect(links()).toEqual(before);
    }
  });

  test("share it, but in mode passthru", () => {
    using driver = new ParentDriver("macvlan");
    const [one, through] = [{}, { macvlan_mode: "passthru" }].map((more) =>
      onParent(driver, { parent: "lan0", ...more }),
    );
    if (one === undefined || through === undefined) throw new Error("two");
    driver.share(one, one);
    for (const [own, other] of [
      [one, through],
      [through, one],
    ] as const)
      expect(() => driver.share(own, other)).toThrow(
        "is already using parent interface lan0 in mode passthru",
      );
    expect(() => driver.share(one, { ...one, ownsDevice: true })).toThrow("which it made and takes with it");
  });

  test("need one that is there, or whose sub-interface can be made", () => {
    using driver = new ParentDriver("macvlan");
    expect(() => driver.make(onParent(driver, { parent: "eth9" }))).toThrow(
      "invalid subinterface vlan name eth9, example formatting is eth0.10",
    );
    expect(() => driver.make(onParent(driver, { parent: "eth9.10" }))).toThrow(
      "-o parent interface was not found on the host: eth9",
    );
    using netlink = new Netlink();
    addPair(netlink, "lan0", "lan1");
    const tagged = { ...onParent(driver, { parent: "lan0.10" }), ownsDevice: true };
    if (knowsKind(netlink, "vlan")) driver.make(tagged);
    else expect(() => driver.make(tagged)).toThrow("this kernel makes no 802.1q interfaces such as lan0.10");
    expect(links().includes("lan0.10")).toBe(knowsKind(netlink, "vlan"));
    driver.remove(tagged);
    expect(links()).not.toContain("lan0.10");
  });
});
