/**
 * Ports of this host that the kernel cannot lead to a container: of IPv6 where the container has IPv4 only (nftables does not
 * translate between the two), and of `::1`, which nothing leaves the loopback from.
 * Owns: the thread that relays them; none before the first one. Promises: a port is taken when `take` returns, and free again
 * when `settled` has resolved. Relays end with the engine, their connections with them; one that comes back opens them again.
 */
import { closeServed, type PortReservation, servePort } from "#kernel/network/port-reservation.ts";
import { Fault } from "#spec/fault.ts";
import type { RelayCommand, RelayReport, RelayTarget } from "./relay-messages.ts";

export interface RelayedPort extends PortReservation {
  /** Where those who come are led; before the first call they wait. */
  lead(target: RelayTarget): void;
}

export class Relays implements Disposable {
  readonly #report: (fault: Fault) => void;
  readonly #program: URL;
  #thread: Worker | undefined;
  #lastId = 0;
  /** Those being closed, until the thread says so. */
  readonly #closing = new Map<number, PromiseWithResolvers<void>>();

  /** `program` is a module that runs `relay-thread.ts`. */
  constructor(o: { readonly program: URL; readonly report: (fault: Fault) => void }) {
    this.#program = o.program;
    this.#report = o.report;
  }

  /** @throws Errno `EADDRINUSE`, `EADDRNOTAVAIL`. */
  take(protocol: "tcp" | "udp", address: string, port: number): RelayedPort {
    const served = servePort(protocol, address, port);
    const id = ++this.#lastId;
    let [isLed, isOpen] = [false, true];
    return {
      port: served.port,
      lead: (target) => {
        if (!isOpen) return;
        this.#say(
          isLed ? { kind: "lead", id, target } : { kind: "serve", id, fd: served.fd, protocol, target },
        );
        isLed = true;
      },
      [Symbol.dispose]: () => {
        if (isOpen && isLed) this.#close(id);
        else if (isOpen) closeServed(served);
        isOpen = false;
      },
    };
  }

  #close(id: number): void {
    this.#closing.set(id, Promise.withResolvers<void>());
    this.#say({ kind: "close", id });
  }

  /** Resolves when every port that was given back is free. */
  async settled(): Promise<void> {
    if (this.#closing.size > 0) await Promise.all([...this.#closing.values()].map(({ promise }) => promise));
  }

  #say(command: RelayCommand): void {
    this.#thread ??= this.#start();
    this.#thread.postMessage(command);
  }

  /** In the network namespace that the calling thread is in. */
  #start(): Worker {
    const thread = new Worker(this.#program, { ref: false });
    thread.addEventListener("message", ({ data }: MessageEvent<RelayReport>) => this.#hear(data));
    thread.addEventListener("error", ({ message }) => {
      const lost = "ports of IPv6 that are open now stay closed until their containers start again";
      this.#report(new Fault("internal", `${lost}: ${message}`));
      this.#thread = undefined;
      for (const { resolve } of this.#closing.values()) resolve();
      this.#closing.clear();
    });
    return thread;
  }

  #hear(report: RelayReport): void {
    if (report.kind === "failed") {
      this.#report(new Fault("internal", `a port of IPv6 could not be relayed: ${report.message}`));
    } else {
      this.#closing.get(report.id)?.resolve();
      this.#closing.delete(report.id);
    }
  }

  [Symbol.dispose](): void {
    this.#thread?.terminate();
    for (const { resolve } of this.#closing.values()) resolve();
    this.#closing.clear();
  }
}
