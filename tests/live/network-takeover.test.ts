/** An address that comes to another container, with other hardware: its neighbours find it there at once. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { NetworkLab } from "./network-lab.ts";
import { until } from "./told.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());

test("neighbours learn who has an address of IPv4 and IPv6 now, without asking", async () => {
  await lab.client.networks.create({
    ...{ Name: "n", EnableIPv6: true },
    IPAM: { Config: [{ Subnet: "10.55.0.0/24" }, { Subnet: "fd55::/64" }] },
  });
  await lab.run("asker", "n");
  const { Pid } = (await lab.client.containers.inspect("asker")).State;
  const hardware = (address: string): string => {
    const { stdout } = spawnSync("nsenter", [`--net=/proc/${Pid}/ns/net`, "ip", "neigh", "show", address], {
      encoding: "utf8",
    });
    return /lladdr (\S+)/.exec(stdout)?.[1] ?? "";
  };
  for (const last of ["01", "02", "03"]) {
    const MacAddress = `02:42:00:00:00:${last}`;
    const IPAMConfig = { IPv4Address: "10.55.0.9", IPv6Address: "fd55::9" };
    await lab.run("holder", "n", { endpoints: { n: { IPAMConfig, MacAddress } } });
    if (last === "01") {
      expect(await lab.fetches("asker", "10.55.0.9")).toBe("holder");
      expect(await lab.fetches("asker", "[fd55::9]")).toBe("holder");
    }
    for (const address of ["10.55.0.9", "fd55::9"])
      await until(() => hardware(address) === MacAddress, `${address} is known at ${MacAddress}`);
    await lab.client.containers.remove("holder", { force: true });
  }
});
