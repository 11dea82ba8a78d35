import { expect, test } from "bun:test";
import { parseContainerPort, parseContainerPorts, parseHostIp, parseHostPort } from "./port-spec.ts";

test("a container's port, a range of them, and the host's", () => {
  expect(parseContainerPort("80")).toEqual({ protocol: "tcp", containerPort: 80 });
  expect(parseContainerPort("53/UDP")).toEqual({ protocol: "udp", containerPort: 53 });
  expect(parseContainerPorts("1-3/sctp").map(({ containerPort }) => containerPort)).toEqual([1, 2, 3]);
  expect(parseHostPort("8000-8001")).toEqual({ low: 8000, high: 8001 });
  expect(["", "0"].map(parseHostPort)).toEqual([undefined, undefined]);
  expect(["", "[::1]", "FD00:0::1", "127.0.0.1"].map(parseHostIp)).toEqual([
    "",
    "::1",
    "fd00::1",
    "127.0.0.1",
  ]);
});

test.each(["", "x", "0", "0/tcp", "65536", "80/xyz", "80/", "80/tcp/udp", "3-1", "-1", "80-81/tcp", " 80"])(
  "%p is no port of a container",
  (key) =>
    expect(() => parseContainerPort(key)).toThrow(`invalid port specification: ${JSON.stringify(key)}`),
);

test.each(["x", "-1", "65536", "2-1", "80/tcp", "0-5"])("%p is no port of the host", (text) => {
  expect(() => parseHostPort(text)).toThrow(`invalid port specification: ${JSON.stringify(text)}`);
});

test("an address is one", () => {
  expect(() => parseHostIp("here")).toThrow("invalid IP address: here");
});
