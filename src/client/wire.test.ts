import { expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { BunWire } from "./bun-wire.ts";
import { dial } from "./dial.ts";
import { NodeWire } from "./node-wire.ts";
import type { Wire } from "./wire.ts";

type Address = Parameters<typeof dial>[0];

const wires: readonly (readonly [string, (address: Address) => Promise<Wire>])[] = [
  ["Bun's", async (address) => await BunWire.open(address)],
  ["Node's", async (address) => new NodeWire(await dial(address))],
];

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** One connection: the wire and its other end. */
async function pair(open: (address: Address) => Promise<Wire>) {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const wire = await open({ kind: "tcp", hostname: "127.0.0.1", port });
  const [peer] = await accepted;
  server.close();
  peer.on("error", () => undefined);
  return { wire, peer };
}

async function received(wire: Wire): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let next = await wire.incoming.next(); next.done !== true; next = await wire.incoming.next())
    parts.push(next.value);
  return Buffer.concat(parts);
}

const bytes = randomBytes(6 << 20);

test.each(wires)(
  "%s: all that is sent arrives, however slowly it is read; memory is the sender's again",
  async (_, open) => {
    const { wire, peer } = await pair(open);
    const part = Buffer.alloc(1 << 20);
    let sent = 0;
    const sending = (async () => {
      for (let at = 0; at < bytes.length; at += part.length) {
        bytes.copy(part, 0, at);
        await wire.send(part);
        sent++;
      }
    })();
    const hash = createHash("sha256");
    let got = 0;
    peer.on("data", (each: Buffer) => {
      hash.update(each);
      got += each.length;
      peer.pause();
      setImmediate(() => peer.resume());
    });
    await sending;
    while (got < bytes.length) await new Promise(setImmediate);
    expect([sent, hash.digest("hex")]).toEqual([6, sha256(bytes)]);
    wire.destroy();
    peer.destroy();
  },
);

test.each(wires)("%s: who does not read holds back the other side, and loses nothing", async (_, open) => {
  const { wire, peer } = await pair(open);
  peer.resume();
  peer.end(bytes);
  await wire.send(Buffer.from("x"));
  const all = await received(wire);
  expect(sha256(all)).toBe(sha256(bytes));
  wire.destroy();
});

test.each(wires)("%s: whoever waits is told when the connection goes", async (_, open) => {
  const { wire, peer } = await pair(open);
  const sending = (async () => {
    while (wire.writable) await wire.send(bytes);
  })();
  peer.resetAndDestroy();
  await sending;
  expect(wire.writable).toBe(false);
  const other = await pair(open);
  const reading = other.wire.incoming.next();
  other.wire.destroy(new Error("enough"));
  await expect(reading).rejects.toThrow("enough");
  other.peer.destroy();
});
