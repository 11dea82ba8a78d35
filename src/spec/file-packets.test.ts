import { describe, expect, test } from "bun:test";
import { goMode, kindOf, Packet, packetType, permissionsOf } from "./file-packets.ts";

describe("Go's file modes", () => {
  test.each([
    [0o040755, 2147484141, "directory", 0o755],
    [0o120777, 134218239, "symlink", 0o777],
    [0o100644, 0o644, "file", 0o644],
    [0o104755, (1 << 23) + 0o755, "file", 0o4755],
    [0o041777, 2 ** 31 + (1 << 20) + 0o777, "directory", 0o1777],
    [0o020666, (1 << 26) + (1 << 21) + 0o666, "device", 0o666],
    [0o010600, (1 << 25) + 0o600, "pipe", 0o600],
    [0o140600, (1 << 24) + 0o600, "socket", 0o600],
  ])("%o", (unix, go, kind, permissions) => {
    expect(goMode(unix)).toBe(go);
    expect(kindOf(go)).toBe(kind as ReturnType<typeof kindOf>);
    expect(permissionsOf(go)).toBe(permissions);
    const packet = Packet.decode(Packet.encode({ type: packetType.stat, stat: { path: "p", mode: go } }));
    expect(packet.stat?.mode).toBe(go);
  });
});
