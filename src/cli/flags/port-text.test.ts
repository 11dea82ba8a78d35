import { expect, test } from "bun:test";
import { formatPorts } from "./port-text.ts";

const tcp = (PrivatePort: number, PublicPort?: number, IP?: string) => ({
  PrivatePort,
  Type: "tcp",
  ...(PublicPort !== undefined && { PublicPort }),
  ...(IP !== undefined && { IP }),
});

test.each([
  [[], ""],
  [[tcp(80)], "80/tcp"],
  [[tcp(82), tcp(80), tcp(81), tcp(90)], "80-82/tcp, 90/tcp"],
  [[tcp(80, 80, "0.0.0.0"), tcp(81, 81, "0.0.0.0")], "0.0.0.0:80-81->80-81/tcp"],
  [[tcp(80, 8080, "127.0.0.1"), tcp(99)], "99/tcp, 127.0.0.1:8080->80/tcp"],
  [[tcp(80, 8080, "::"), tcp(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"],
  [[tcp(80, 80, "::")], "[::]:80->80/tcp"],
  [[{ PrivatePort: 53, Type: "udp" }, tcp(53)], "53/tcp, 53/udp"],
])("%j", (ports, text) => {
  expect(formatPorts(ports)).toBe(text);
});
