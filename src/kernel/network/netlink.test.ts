import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Errno } from "#kernel/libc.ts";
import * as addresses from "./addresses.ts";
import * as links from "./links.ts";
import { Netlink } from "./netlink.ts";
import { decodeAttributes, decodeMessages, encodeMessage, text } from "./netlink-message.ts";
import { inNamespace, makeNamespace, removeNamespace } from "./netns.ts";

let directory: string;
const at = (name: string) => join(directory, name);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-netns-"));
});
afterEach(() => {
  for (const name of ["a", "b"]) removeNamespace(at(name));
  rmSync(directory, { recursive: true, force: true });
});

test("messages and attributes come back as they went", () => {
  const bytes = encodeMessage({ type: 7, flags: 5, sequence: 9 }, Buffer.from([1, 2]), [
    [1, text("abc")],
    [2, [[3, Buffer.from([9])]]],
  ]);
  const [message] = decodeMessages(Buffer.concat([bytes, bytes.subarray(0, 10)]));
  expect(message).toMatchObject({ type: 7, flags: 5, sequence: 9 });
  const attributes = decodeAttributes(message?.payload ?? Buffer.alloc(0), 2);
  expect(attributes.get(1)?.toString()).toBe("abc\0");
  expect(decodeAttributes(attributes.get(2) ?? Buffer.alloc(0), 0).get(3)).toEqual(Buffer.from([9]));
});

test("two namespaces are joined by a bridge and a pair, and the thread stays where it was", () => {
  const before = Object.keys(networkInterfaces());
  makeNamespace(at("a"), () => undefined);
  makeNamespace(at("b"), () => {
    using netlink = new Netlink();
    links.setUp(netlink, 1);
  });
  const peer = openSync(at("b"), "r");
  const inA = inNamespace(at("a"), () => {
    using netlink = new Netlink();
    links.addBridge(netlink, "br0");
    const [, bridge] = links.listLinks(netlink);
    const master = bridge?.index ?? 0;
    links.setMac(netlink, master, Buffer.from([2, 0x42, 1, 2, 3, 4]));
    addresses.addAddress(netlink, master, { address: "172.17.0.1", prefixLength: 16 });
    addresses.addAddress(netlink, master, { address: "172.17.0.1", prefixLength: 16 });
    links.setUp(netlink, master);
    const mac = Buffer.from([2, 0x42, 172, 17, 0, 2]);
    links.addVeth(netlink, { name: "v0", master, peer: { netns: peer, name: "eth0", mac } });
    expect(() => links.addBridge(netlink, "br0")).toThrow(Errno);
    return { list: links.listLinks(netlink), used: addresses.usedSubnets(netlink), master };
  });
  closeSync(peer);
  expect(inA.list.map(({ name, up, master }) => [name, up, master])).toEqual([
    ["lo", false, undefined],
    ["br0", true, undefined],
    ["v0", true, inA.master],
  ]);
  expect(inA.used).toContainEqual({ address: "172.17.0.0", prefixLength: 16, interfaceName: "br0" });
  inNamespace(at("b"), () => {
    using netlink = new Netlink();
    const eth0 = links.listLinks(netlink).find(({ name }) => name === "eth0");
    addresses.addAddress(netlink, eth0?.index ?? 0, { address: "172.17.0.2", prefixLength: 16 });
    links.setUp(netlink, eth0?.index ?? 0);
    addresses.setDefaultRoute(netlink, 4, { gateway: "172.17.0.1" });
    expect(readFileSync("/proc/thread-self/net/route", "utf8")).toContain("eth0\t00000000\t010011AC");
  });
  inNamespace(at("a"), () => {
    using netlink = new Netlink();
    const gone = links.findLink(netlink, "v0")?.index ?? 0;
    expect(links.deleteLink(netlink, "v0")).toBe(true);
    expect(links.setBridgePort(netlink, gone, { hairpin: true, isolated: false })).toBe(false);
    expect(links.deleteLink(netlink, "v0")).toBe(false);
  });
  expect(Object.keys(networkInterfaces())).toEqual(before);
});

test("a failure inside brings the thread back, and leaves no namespace", () => {
  const fail = () => {
    throw new Error("inside");
  };
  const own = readFileSync("/proc/thread-self/net/dev", "utf8").split("\n").length;
  expect(() => makeNamespace(at("a"), fail)).toThrow("inside");
  expect(() => openSync(at("a"), "r")).toThrow("ENOENT");
  makeNamespace(at("a"), () => undefined);
  expect(() => inNamespace(at("a"), fail)).toThrow("inside");
  expect(readFileSync("/proc/thread-self/net/dev", "utf8").split("\n").length).toBe(own);
  removeNamespace(at("a"));
  removeNamespace(at("a"));
});
