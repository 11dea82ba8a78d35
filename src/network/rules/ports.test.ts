import { describe, expect, test } from "bun:test";
import type { HostConfig } from "#spec/container.ts";
import type { PublishedPort } from "#spec/network.ts";
import { type PortPlace, portRequests, settlePorts } from "./ports.ts";

const plain = { relays: false, hostHasIpv6: true };
const place: PortPlace = {
  hostIp: "0.0.0.0",
  modes: { 4: "nat", 6: "nat" },
  relays: true,
  hostHasIpv6: true,
};
const asks = (PortBindings: HostConfig["PortBindings"], where = place) =>
  portRequests({}, { PortBindings: PortBindings ?? null }, where).map(({ addresses }) =>
    addresses.map(({ bound, ip }) => `${ip}${bound ? "" : " open"}`),
  );

describe("where a port is opened", () => {
  test.each([
    ["", place, ["0.0.0.0", "::"]],
    ["0.0.0.0", place, ["0.0.0.0"]],
    ["[::]", place, ["::"]],
    ["FD00:0::1", place, ["fd00::1"]],
    ["", { ...place, modes: { 4: "nat" } }, ["0.0.0.0", "::"]],
    ["", { ...place, modes: { 4: "nat" }, hostHasIpv6: false }, ["0.0.0.0"]],
    ["", { ...place, modes: { 4: "nat" }, ...plain }, ["0.0.0.0"]],
    ["::1", { ...place, modes: { 4: "nat-unprotected" }, hostHasIpv6: false }, ["::1"]],
    ["", { ...place, modes: { 4: "routed" } }, ["0.0.0.0 open"]],
    ["", { ...place, hostIp: "127.0.0.1" }, ["127.0.0.1"]],
    ["", { ...place, hostIp: "::1" }, ["::1"]],
    ["", { ...place, modes: { 4: "nat", 6: "routed" } }, ["0.0.0.0", ":: open"]],
    ["", { ...place, modes: { 6: "isolated" } }, []],
  ] as const)("%s %#", (HostIp, where, addresses) => {
    expect(asks({ "80/tcp": [{ HostIp }] }, where as PortPlace)).toEqual([[...addresses]]);
  });

  test("no address of that family is a fault with a way out", () => {
    const modes = { 4: "nat" } as const;
    for (const [key, where] of [
      ["80/tcp", { ...place, ...plain, modes }],
      ["80/sctp", { ...place, modes }],
      ["80/tcp", { ...place, modes: { 4: "routed" } as const }],
    ] as const)
      expect(() => asks({ [key]: [{ HostIp: "::" }] }, where)).toThrow(
        new RegExp(
          `the port ${key} cannot be published on ::: the container has no IPv6 address.*: put it on a network with IPv6`,
        ),
      );
  });

  test.each(["0/tcp", "70000/tcp", "80/xyz", "x"])("%s is no port", (key) => {
    expect(() => asks({ [key]: null })).toThrow(`invalid port specification: "${key}"`);
  });
});

test("an empty list of bindings publishes nothing, unless all ports are published", () => {
  expect(asks({ "80/tcp": [], "81/tcp": null })).toEqual([]);
  const config = { ExposedPorts: { "80/tcp": {} } };
  const host = { PublishAllPorts: true, PortBindings: { "80/tcp": [] } };
  expect(portRequests(config, host, place)).toHaveLength(1);
});

test("all exposed ports: ranges are taken apart, bound ones stay as they are", () => {
  const config = { ExposedPorts: { "80/tcp": {}, "90-92/sctp": {} } };
  const host = { PublishAllPorts: true, PortBindings: { "80/tcp": [{ HostPort: "8000-8001" }] } };
  const found = portRequests(config, host, place);
  expect(
    found.map(({ containerPort, hostPort, protocol }) => [containerPort, protocol, hostPort?.high]),
  ).toEqual([
    [80, "tcp", 8001],
    [90, "sctp", undefined],
    [91, "sctp", undefined],
    [92, "sctp", undefined],
  ]);
});

describe("what is open and what is asked for", () => {
  const open = (hostPort: number, hostIp = "0.0.0.0"): PublishedPort => ({
    ...{ protocol: "tcp", containerPort: 80, hostIp, hostPort },
  });
  const settle = (ports: readonly PublishedPort[], HostPort: string, where = place) => {
    const requests = portRequests({}, { PortBindings: { "80/tcp": [{ HostPort }] } }, where);
    const { gone, kept, wanted } = settlePorts(ports, requests);
    return [kept.length, wanted.length, gone.length];
  };

  test("stays open when every address has the same number", () => {
    expect(settle([open(8000), open(8000, "::")], "")).toEqual([2, 0, 0]);
    expect(settle([open(8000), open(8001, "::")], "")).toEqual([1, 1, 1]);
    expect(settle([open(8000), open(8000, "::")], "8000-8009")).toEqual([2, 0, 0]);
    expect(settle([open(7999), open(7999, "::")], "8000-8009")).toEqual([0, 1, 2]);
  });

  test("another address gets the same number", () => {
    const requests = portRequests({}, { PortBindings: { "80/tcp": [{}] } }, place);
    const { kept, wanted } = settlePorts([open(8000)], requests);
    expect(kept).toEqual([open(8000)]);
    expect(wanted).toMatchObject([{ addresses: [{ ip: "::" }], hostPort: { low: 8000, high: 8000 } }]);
  });

  test("is closed where the container is reached at its own address", () => {
    const routed: PortPlace = { hostIp: "0.0.0.0", modes: { 4: "routed" }, ...plain };
    expect(settle([open(8000)], "8000", routed)).toEqual([0, 1, 1]);
    expect(settle([open(0)], "8000", routed)).toEqual([1, 0, 0]);
    expect(settle([open(0), open(8000, "::")], "8000")).toEqual([1, 1, 1]);
  });
});
