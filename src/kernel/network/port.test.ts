import { expect, test } from "bun:test";
import { Errno } from "#kernel/libc.ts";
import { portOwner } from "./port-owner.ts";
import { reservePort } from "./port-reservation.ts";

for (const protocol of ["tcp", "udp"] as const)
  test(`a ${protocol} port is taken until it is given back, and its owner is known`, () => {
    const first = reservePort(protocol, "127.0.0.1", 0);
    expect(first.port).toBeGreaterThan(0);
    expect(() => reservePort(protocol, "0.0.0.0", first.port)).toThrow(Errno);
    if (protocol === "udp") expect(portOwner(protocol, first.port)).toMatchObject({ pid: process.pid });
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    using again = reservePort(protocol, "127.0.0.1", first.port);
    expect(again.port).toBe(first.port);
  });

test("a listener's process is found by its port", () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  try {
    expect(portOwner("tcp", server.port)).toMatchObject({ pid: process.pid });
    expect(() => reservePort("tcp", "127.0.0.1", server.port)).toThrow("EADDRINUSE");
  } finally {
    server.stop(true);
  }
  expect(portOwner("tcp", server.port)).toBeUndefined();
});
