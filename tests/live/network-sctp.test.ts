/** Published ports of SCTP: led by the kernel alone, from wherever somebody comes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import { sendInitial } from "#kernel/sockets/sctp-fixture.ts";
import { Neighbour } from "./neighbour.ts";
import { faultOf, NetworkLab } from "./network-lab.ts";
import { until } from "./told.ts";

let lab: NetworkLab;
let neighbour: Neighbour;
beforeAll(async () => {
  lab = await NetworkLab.open();
  neighbour = new Neighbour(lab.engine);
});
afterAll(async () => {
  neighbour[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});

const namespaceOf = async (name: string) =>
  `/proc/${(await lab.client.containers.inspect(name)).State.Pid}/ns/net`;

test("packets come from outside, from the host, by its loopback, from a neighbour and from the container itself", async () => {
  await lab.run("box", "bridge", { host: { PortBindings: { "90/sctp": [{ HostPort: "18290" }] } } });
  await lab.run("other", "bridge");
  const [box, other] = [await namespaceOf("box"), await namespaceOf("other")];
  inNamespace(box, () =>
    runNft(
      "table ip seen {\n chain in {\n type filter hook input priority filter;\n sctp dport 90 counter\n }\n}\n",
    ),
  );
  const seen = () =>
    Number(/counter packets (\d+)/.exec(inNamespace(box, () => runNft("list table ip seen")))?.[1]);
  const { Gateway } = (await lab.client.containers.inspect("box")).NetworkSettings;
  for (const [from, address] of [
    [neighbour.netns, neighbour.hostAddress],
    [lab.engine.netns, neighbour.hostAddress],
    [lab.engine.netns, "127.0.0.1"],
    [other, Gateway],
    [box, Gateway],
  ] as const) {
    const before = seen();
    await until(() => {
      inNamespace(from, () => sendInitial(address, 18_290));
      return seen() > before;
    }, `SCTP to ${address} from ${from}`);
  }
  inNamespace(neighbour.netns, () => sendInitial(neighbour.hostAddress, 18_291));
  const { Ports } = (await lab.client.containers.inspect("box")).NetworkSettings;
  expect(Ports["90/sctp"]).toEqual([{ HostIp: "0.0.0.0", HostPort: "18290" }]);
});

test("from IPv6 to a container of IPv4 nothing leads, and that is said", async () => {
  const host = { PortBindings: { "80/sctp": [{ HostIp: "::1", HostPort: "18202" }] } };
  expect(await faultOf(lab.run("sctp", "bridge", { host }))).toContain(
    "the port 80/sctp cannot be published on ::1: the container has no IPv6 address, and SCTP is led by the kernel alone, which does not translate between IPv6 and IPv4: put it on a network with IPv6",
  );
});
