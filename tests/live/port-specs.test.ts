/** What a request may say of ports and hosts, and what dockerd refuses of it when a container is created. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { HostConfig } from "#spec/container.ts";
import { faultOf, NetworkLab } from "./network-lab.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());

const create = async (HostConfig: HostConfig) =>
  await lab.client.containers.create({ Image: "busybox", Cmd: ["sleep", "60"], HostConfig }, {});
const bound = (key: string, HostPort: string, HostIp = ""): HostConfig => ({
  PortBindings: { [key]: [{ HostIp, HostPort }] },
});

test.each([
  [bound("x", "1"), 'invalid port specification: "x"'],
  [bound("70000/tcp", "1"), 'invalid port specification: "70000/tcp"'],
  [bound("80-81/tcp", "1-2"), 'invalid port specification: "80-81/tcp"'],
  [bound("80/xyz", "1"), 'invalid port specification: "80/xyz"'],
  [bound("80/tcp", "abc"), 'invalid port specification: "abc"'],
  [bound("80/tcp", "70000"), 'invalid port specification: "70000"'],
  [bound("80/tcp", "9-8"), 'invalid port specification: "9-8"'],
  [bound("80/tcp", "1", "here"), "invalid IP address: here"],
  [{ ExtraHosts: ["a=192.0.2.1"] }, 'bad format for add-host: "a=192.0.2.1"'],
  [{ ExtraHosts: ["a:[::1]"] }, 'invalid IP address in add-host: "[::1]"'],
  [{ ExtraHosts: ["a:b"] }, 'invalid IP address in add-host: "b"'],
  [{ ExtraHosts: [":192.0.2.1"] }, 'bad format for add-host: ":192.0.2.1"'],
])("%j is refused at once", async (host, message) => {
  expect(await faultOf(create(host))).toContain(message);
});

test("an update is refused alike, of a container that does not run either", async () => {
  const { Id } = await create({});
  const update = lab.client.containers.update(Id, { PublishAdd: { "80/tcp": [{ HostPort: "abc" }] } });
  expect(await faultOf(update)).toContain('invalid port specification: "abc"');
});

test("an empty list of bindings opens nothing, letters of a protocol may be large, and addresses of IPv6 are plain", async () => {
  const { Id } = await create({
    PortBindings: { "80/tcp": [], "81/tcp": null, "82/UDP": [{ HostPort: "18350" }] },
    ExtraHosts: ["six:::1", "four:192.0.2.1"],
  });
  await lab.client.containers.start(Id);
  const { HostConfig, NetworkSettings } = await lab.client.containers.inspect(Id);
  expect(NetworkSettings.Ports["80/tcp"] ?? null).toBeNull();
  expect(NetworkSettings.Ports["82/udp"]?.map(({ HostPort }) => HostPort)).toEqual(["18350", "18350"]);
  expect(HostConfig.ExtraHosts).toEqual(["six:::1", "four:192.0.2.1"]);
  expect((await lab.inside(Id, "grep", "-E", "six|four", "/etc/hosts")).out).toBe(
    "::1\tsix\n192.0.2.1\tfour\n",
  );
});
