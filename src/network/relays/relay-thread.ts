/**
 * The thread that relays: what goes through it never keeps the engine from its work. `relays.ts` starts it.
 * Owns: the relays, by number. Promises: a relay's trouble is told, and is no other's.
 */
import type { Relay, RelayCommand, RelayReport } from "./relay-messages.ts";
import { TcpRelay } from "./tcp-relay.ts";
import { UdpRelay } from "./udp-relay.ts";

const relays = new Map<number, Relay>();

addEventListener("message", ({ data }: MessageEvent<RelayCommand>) => {
  try {
    obey(data);
  } catch (thrown) {
    fail(thrown);
  }
});
process.on("uncaughtException", fail);

function obey(command: RelayCommand): void {
  const { id } = command;
  if (command.kind === "serve") {
    const kind = command.protocol === "tcp" ? TcpRelay : UdpRelay;
    relays.set(id, new kind(command.fd, command.target, fail));
    return;
  }
  const relay = relays.get(id);
  if (command.kind === "lead") {
    if (relay !== undefined) relay.target = command.target;
    return;
  }
  relays.delete(id);
  try {
    relay?.close();
  } finally {
    report({ kind: "closed", id });
  }
}

function fail(thrown: unknown): void {
  report({ kind: "failed", message: thrown instanceof Error ? thrown.message : String(thrown) });
}

function report(message: RelayReport): void {
  postMessage(message);
}
