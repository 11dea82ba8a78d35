/** What a container leaves on its bridge: nothing that the next one with its address would stumble over. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { fetchesFrom } from "./neighbour.ts";
import { NetworkLab } from "./network-lab.ts";
import { until } from "./told.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());

const onHost = (...words: string[]) =>
  spawnSync("nsenter", [`--net=${lab.engine.netns}`, ...words], { encoding: "utf8" }).stdout;

test.each([
  ["IPv4", "10.97.0.9"],
  ["IPv6", "fd00:97::9"],
] as const)("%s: the host asks anew who has an address that another had", async (family, address) => {
  const Config = [{ Subnet: family === "IPv4" ? "10.97.0.0/24" : "fd00:97::/64" }];
  const own = family === "IPv4" ? { IPv4Address: address } : { IPv6Address: address };
  const families = { EnableIPv4: family === "IPv4", EnableIPv6: family === "IPv6" };
  await lab.client.networks.create({ Name: "n", ...families, IPAM: { Config } });
  const run = async (name: string, MacAddress: string): Promise<void> => {
    await lab.run(name, "n", { endpoints: { n: { MacAddress, IPAMConfig: own } } });
  };
  const known = () => onHost("ip", "neigh", "show", address) + onHost("bridge", "fdb", "show");
  const answered = async (name: string) =>
    await until(async () => (await fetchesFrom(lab.engine.netns, address, 80)) === name);
  await run("first", "02:00:5e:10:00:01");
  await answered("first");
  expect(known()).toContain("02:00:5e:10:00:01");
  await lab.client.containers.remove("first", { force: true });
  await run("second", "02:00:5e:10:00:02");
  await until(() => !known().includes("02:00:5e:10:00:01"));
  expect(onHost("ip", "neigh", "show", address)).not.toContain("02:00:5e:10:00:01");
  await answered("second");
  await lab.clear();
});
