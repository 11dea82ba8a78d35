/** What `inspect` says of a container's network from its making to its end, field by field as Docker 26 answers. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { HostConfig } from "#spec/container.ts";
import type { Endpoints } from "./network-lab.ts";
import { NetworkLab } from "./network-lab.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());
afterEach(async () => await lab.clear());

const mac = "02:42:0a:4d:01:09";

async function create(mode: string, o: { host?: HostConfig; endpoints?: Endpoints } = {}): Promise<string> {
  const { Id } = await lab.client.containers.create({
    ...{ Image: "busybox", Cmd: ["sleep", "600"] },
    ...(!mode.startsWith("container:") && { ExposedPorts: { "80/tcp": {}, "81/udp": {} } }),
    HostConfig: { NetworkMode: mode, ...o.host },
    NetworkingConfig: { EndpointsConfig: o.endpoints ?? {} },
  });
  return Id;
}

const settings = async (id: string) => (await lab.client.containers.inspect(id)).NetworkSettings;

test("a sandbox has an id from the first start on, and a key while there is something behind it", async () => {
  const id = await create("bridge");
  expect(await settings(id)).toMatchObject({ SandboxID: "", SandboxKey: "", Ports: {} });
  await lab.client.containers.start(id);
  const running = await settings(id);
  expect(running.SandboxID).toMatch(/^[0-9a-f]{64}$/);
  expect(running.SandboxKey).toContain("/netns/");
  await lab.client.containers.pause(id);
  expect(await settings(id)).toEqual(running);
  await lab.client.containers.unpause(id);
  await lab.client.containers.kill(id, "KILL");
  const ended = await settings(id);
  expect(ended).toMatchObject({ SandboxID: running.SandboxID, SandboxKey: "", Ports: {}, IPAddress: "" });
  expect(ended.Networks["bridge"]).toMatchObject({
    ...{ EndpointID: "", Gateway: "", IPAddress: "", IPPrefixLen: 0, MacAddress: "" },
    NetworkID: running.Networks["bridge"]?.NetworkID ?? "",
  });
  await lab.client.containers.restart(id);
  expect((await settings(id)).SandboxKey).toContain("/netns/");
});

test("on two networks: names and addresses come with the start, and what is left is who it was", async () => {
  for (const part of [1, 2])
    await lab.client.networks.create({
      ...{ Name: `n${part}`, EnableIPv6: part === 2 },
      IPAM: { Config: [{ Subnet: `10.77.${part}.0/24` }] },
    });
  const id = await create("n1", {
    endpoints: {
      n1: { IPAMConfig: { IPv4Address: "10.77.1.9" }, MacAddress: mac, Aliases: ["db"] },
      n2: {},
    },
  });
  const before = (await settings(id)).Networks;
  expect(before["n1"]).toMatchObject({ MacAddress: mac, DNSNames: null, NetworkID: "", IPAddress: "" });
  await lab.client.containers.start(id);
  const { Networks: during, Ports } = await settings(id);
  expect(during["n1"]).toMatchObject({ MacAddress: mac, IPAddress: "10.77.1.9", Gateway: "10.77.1.1" });
  expect(during["n1"]?.DNSNames).toContain("db");
  expect(during["n2"]).toMatchObject({ IPPrefixLen: 24, GlobalIPv6PrefixLen: 64 });
  expect(Ports).toEqual({ "80/tcp": null, "81/udp": null });
  await lab.client.containers.kill(id, "KILL");
  const after = (await settings(id)).Networks;
  expect(after["n1"]).toMatchObject({
    ...{ MacAddress: "", IPAddress: "", IPAMConfig: { IPv4Address: "10.77.1.9" } },
    NetworkID: during["n1"]?.NetworkID ?? "",
  });
  expect(after["n1"]?.DNSNames).toContain("db");
  await lab.client.containers.start(id);
  expect((await settings(id)).Networks["n1"]).toMatchObject({ MacAddress: mac, IPAddress: "10.77.1.9" });
});

test("who shares another's network, or the host's, or has none", async () => {
  const donor = await create("bridge");
  await lab.client.containers.start(donor);
  const joined = await create(`container:${donor}`);
  await lab.client.containers.start(joined);
  expect(await settings(joined)).toMatchObject({ SandboxID: "", SandboxKey: "", Networks: {}, Ports: {} });
  for (const mode of ["host", "none"]) {
    const id = await create(mode, { host: { PortBindings: { "80/tcp": [{ HostPort: "18090" }] } } });
    await lab.client.containers.start(id);
    const { Networks, Ports, SandboxID } = await settings(id);
    expect([SandboxID.length, Ports, Object.keys(Networks)]).toEqual([64, {}, [mode]]);
    expect(Networks[mode]).toMatchObject({ IPAddress: "", MacAddress: "" });
    expect(Networks[mode]?.EndpointID).toMatch(/^[0-9a-f]{64}$/);
  }
  await lab.client.networks.create({ Name: "in", Internal: true });
  const inside = await create("in");
  await lab.client.containers.start(inside);
  expect((await settings(inside)).Ports).toEqual({});
});

test("a port that is published is open, whether or not it is among the exposed ones", async () => {
  await lab.run("web", "bridge", { host: { PortBindings: { "80/tcp": [{ HostPort: "18091" }] } } });
  const { Config, NetworkSettings } = await lab.client.containers.inspect("web");
  expect(Config.ExposedPorts).toBeUndefined();
  expect(NetworkSettings.Ports["80/tcp"]?.[0]).toEqual({ HostIp: "0.0.0.0", HostPort: "18091" });
  await lab.run("other", "bridge");
  expect(await lab.fetches("other", `${NetworkSettings.Gateway}:18091`)).toBe("web");
});
