import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatagramReceiver } from "./datagram-fixture.ts";
import { UnixDatagram } from "./unix-datagram.ts";

test("datagrams arrive whole; a receiver that does not read is told of, one that is gone as well", () => {
  const directory = mkdtempSync(join(tmpdir(), "wherry-datagram-"));
  try {
    const path = join(directory, `socket-${"x".repeat(80)}`);
    expect(() => UnixDatagram.connect(path)).toThrow("ENOENT");
    const receiver = new DatagramReceiver(path);
    using sender = UnixDatagram.connect(path);
    expect(sender.send(Buffer.from("one"))).toBe(true);
    expect(sender.send(Buffer.alloc(16_384, 0x61))).toBe(true);
    expect(receiver.receive()?.toString()).toBe("one");
    expect(receiver.receive()?.length).toBe(16_384);
    expect(receiver.receive()).toBeUndefined();
    let sent = 0;
    while (sent < 10_000 && sender.send(Buffer.from("x"))) sent++;
    expect(sent).toBeLessThan(10_000);
    receiver[Symbol.dispose]();
    expect(() => sender.send(Buffer.from("x"))).toThrow("ECONNREFUSED");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
