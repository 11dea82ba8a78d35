/**
 * Packets to a port of this host, led to a container by hand, and its answers back to who asked.
 * Owns: the bound descriptor, and for each asker a socket of its own, so that the container can tell them apart. Promises: an
 * asker that is silent for `idleMs` is forgotten. Never: more askers than `askersMax`; the one silent for longest gives way.
 */
import { createSocket, type Socket } from "node:dgram";
import { type Family, familyOf } from "#spec/ip.ts";
import type { Relay, RelayTarget } from "./relay-messages.ts";

/** Of one port, at a time. */
export const askersMax = 1024;
/** As Docker's proxy has it. */
const idleMs = 90_000;
const kinds: Readonly<Record<Family, "udp4" | "udp6">> = { 4: "udp4", 6: "udp6" };

interface Asker {
  readonly upstream: Socket;
  readonly target: RelayTarget;
  seen: number;
}

export class UdpRelay implements Relay {
  target: RelayTarget;
  readonly #socket: Socket;
  /** By address and port; the one silent for longest comes first. */
  readonly #askers = new Map<string, Asker>();
  readonly #sweep: ReturnType<typeof setInterval>;

  /** `fd` is bound already, to an address of IPv6. `failed` is told why nothing comes any more. */
  constructor(fd: number, target: RelayTarget, failed: (error: Error) => void) {
    this.target = target;
    this.#socket = createSocket("udp6");
    this.#socket.on("error", failed);
    this.#socket.on("message", (bytes, from) => this.#take(bytes, from));
    this.#socket.bind({ fd });
    this.#sweep = setInterval(() => this.#forgetSilent(performance.now() - idleMs), idleMs / 3);
    this.#sweep.unref();
  }

  #take(bytes: Buffer, from: { readonly address: string; readonly port: number }): void {
    const { target } = this;
    const key = `${from.address} ${from.port}`;
    const known = this.#askers.get(key);
    const asker = known?.target === target ? known : this.#meet(key, from, target);
    asker.seen = performance.now();
    this.#askers.delete(key);
    this.#askers.set(key, asker);
    asker.upstream.send(bytes, target.port, target.address, ignore);
  }

  #meet(key: string, from: { readonly address: string; readonly port: number }, target: RelayTarget): Asker {
    this.#forget(key);
    const [longest] = this.#askers.keys();
    if (longest !== undefined && this.#askers.size >= askersMax) this.#forget(longest);
    const upstream = createSocket(kinds[familyOf(target.address)]);
    const asker = { upstream, target, seen: 0 };
    upstream.on("error", () => this.#forget(key));
    upstream.on("message", (answer, { address, port }) => {
      // Nobody else speaks for the container.
      if (address !== target.address || port !== target.port) return;
      asker.seen = performance.now();
      this.#socket.send(answer, from.port, from.address, ignore);
    });
    return asker;
  }

  #forgetSilent(since: number): void {
    for (const [key, { seen }] of this.#askers) if (seen < since) this.#forget(key);
  }

  #forget(key: string): void {
    this.#askers.get(key)?.upstream.close();
    this.#askers.delete(key);
  }

  close(): void {
    clearInterval(this.#sweep);
    this.#socket.close();
    for (const key of [...this.#askers.keys()]) this.#forget(key);
  }
}

/** A packet that could not be sent is a packet that was lost. */
function ignore(): void {}
