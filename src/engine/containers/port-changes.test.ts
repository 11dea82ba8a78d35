import { expect, test } from "bun:test";
import type { HostConfig } from "#spec/container.ts";
import { changedPorts } from "./port-changes.ts";

const before: HostConfig = {
  PortBindings: {
    "80/tcp": [{ HostPort: "8080" }, { HostIp: "127.0.0.1", HostPort: "8081" }],
    "53/udp": [{}],
    "54/udp": [],
  },
};
const change = (add: object, remove: object, host = before) =>
  changedPorts({ name: "box", config: {}, host }, { add: { ...add }, remove: { ...remove } });

test("what is removed goes first, and what is there already is not added twice", () => {
  const { config, host } = change(
    { "80/tcp": [{ HostPort: "9090" }, { HostIp: "127.0.0.1", HostPort: "8081" }], "90": null },
    { "80": [{ HostPort: "8080" }] },
  );
  expect(host.PortBindings).toEqual({
    "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8081" }, { HostPort: "9090" }],
    "53/udp": [{}],
    "54/udp": [],
    "90/tcp": [{}],
  });
  expect(config.ExposedPorts).toEqual({ "80/tcp": {}, "90/tcp": {} });
});

test("a binding that says nothing means all of the port", () => {
  expect(change({}, { "80/tcp": [{}], "53/udp": null }).host.PortBindings).toEqual({ "54/udp": [] });
  expect(change({}, { "80/tcp": [{ HostIp: "127.0.0.1" }] }).host.PortBindings?.["80/tcp"]).toEqual([
    { HostPort: "8080" },
  ]);
});

test("what is not published cannot be removed", () => {
  expect(() => change({}, { "80/tcp": [{ HostIp: "10.0.0.1", HostPort: "8080" }] })).toThrow(
    "container box does not publish 80/tcp at 10.0.0.1:8080",
  );
  expect(() => change({}, { "81/tcp": null }, { PublishAllPorts: true })).toThrow(
    "container box does not publish 81/tcp: it publishes all that it exposes",
  );
});
