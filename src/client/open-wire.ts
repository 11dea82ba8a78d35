/** A wire by the quickest way the platform has. */
import type { EngineAddress } from "./address.ts";
import { dial } from "./dial.ts";
import { NodeWire } from "./node-wire.ts";
import type { Wire } from "./wire.ts";

/** @throws What the platform throws when nobody answers. */
export async function openWire(address: EngineAddress): Promise<Wire> {
  const isPlain = address.kind === "unix" || address.tls === undefined;
  if (!isPlain || !("Bun" in globalThis)) return new NodeWire(await dial(address));
  const { BunWire } = await import("./bun-wire.ts");
  return await BunWire.open(address);
}
