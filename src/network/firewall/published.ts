/**
 * Ports of this host that lead to containers.
 * Owns: the bound sockets that keep a port from everyone else, for as long as the engine lives and the container runs; a relay
 * has those of IPv6, for what the kernel does not lead to the container itself.
 */
import { Errno } from "#kernel/libc.ts";
import { portOwner } from "#kernel/network/port-owner.ts";
import { type PortReservation, reservePort } from "#kernel/network/port-reservation.ts";
import type { RelayedPort, Relays } from "#network/relays/relays.ts";
import { isRelayed, type PortRequest } from "#network/rules/ports.ts";
import type { PublishedTarget } from "#network/rules/ruleset.ts";
import { Fault } from "#spec/fault.ts";
import { bracketed } from "#spec/ip.ts";
import type { PublishedPort } from "#spec/network.ts";

/** Looks for a port free for what was asked; more would be a search without end. */
const rangeMax = 1000;
/** Tries to find a number that is free on every address asked for. */
const freeTries = 64;

export class PublishedPorts {
  /** By container and port. */
  readonly #held = new Map<string, Map<string, Reservation>>();
  readonly #ownerOf: (port: PublishedPort) => string | undefined;
  readonly #relays: Relays | undefined;

  /** `ownerOf` names the container that has a port. Without relays, only what the kernel leads there comes there. */
  constructor(o: {
    readonly ownerOf: (port: PublishedPort) => string | undefined;
    readonly relays: Relays | undefined;
  }) {
    this.#ownerOf = o.ownerOf;
    this.#relays = o.relays;
  }

  /** All or none, beside what the container has. @throws Fault `internal` in dockerd's words, with who has the port. */
  take(containerId: string, name: string, requests: readonly PortRequest[]): PublishedPort[] {
    using stack = new DisposableStack();
    const taken = requests.flatMap((request) => this.#takeOne(name, request, stack));
    stack.move();
    const held = this.#held.get(containerId) ?? new Map<string, Reservation>();
    for (const { port, reservation } of taken)
      if (reservation !== undefined) held.set(keyOf(port), reservation);
    if (held.size > 0) this.#held.set(containerId, held);
    return taken.map(({ port }) => port);
  }

  #takeOne(name: string, request: PortRequest, stack: DisposableStack): Taken[] {
    const { hostPort } = request;
    const [low, high] = hostPort === undefined ? [0, freeTries] : [hostPort.low, hostPort.high];
    const last = Math.min(high, low + rangeMax);
    for (let at = low; ; at++) {
      try {
        return this.#takeNumber(request, hostPort === undefined ? 0 : at, stack);
      } catch (error) {
        if (!(error instanceof PortTaken)) throw error;
        if (error.errno.code !== "EADDRINUSE" || at >= last)
          throw this.#failure(name, error.port, error.errno);
      }
    }
  }

  /** The same number on every address; 0 for any. What is held stays on the stack. @throws PortTaken */
  #takeNumber(request: PortRequest, number: number, stack: DisposableStack): Taken[] {
    using own = new DisposableStack();
    let hostPort = number;
    const taken = request.addresses.map(({ bound, ip }): Taken => {
      const { protocol, containerPort } = request;
      const port = { protocol, containerPort, hostIp: ip, hostPort: bound ? hostPort : 0 };
      if (!bound) return { port, reservation: undefined };
      try {
        const reservation = own.use(this.#reserve({ ...port, hostPort }));
        hostPort = reservation.port;
        return { port: { ...port, hostPort }, reservation };
      } catch (error) {
        if (error instanceof Errno) throw new PortTaken(port, error);
        throw error;
      }
    });
    stack.use(own.move());
    return taken;
  }

  #reserve(port: PublishedPort): Reservation {
    const { protocol, hostIp, hostPort } = port;
    return this.#relays !== undefined && isRelayed(port) && protocol !== "sctp"
      ? this.#relays.take(protocol, hostIp, hostPort)
      : reservePort(protocol, hostIp, hostPort);
  }

  /** Where a container's relayed ports lead from now on. */
  lead(containerId: string, targets: readonly PublishedTarget[]): void {
    const held = this.#held.get(containerId);
    for (const { port, address } of targets) {
      const reservation = held?.get(keyOf(port));
      if (reservation !== undefined && "lead" in reservation)
        reservation.lead({ address, port: port.containerPort });
    }
  }

  #failure(name: string, port: PublishedPort, cause: Errno): Fault {
    const { protocol, hostIp, hostPort } = port;
    const start = `driver failed programming external connectivity on endpoint ${name}:`;
    const fault = (text: string) => new Fault("internal", `${start} ${text}`, { cause });
    const at = `${bracketed(hostIp)}:${hostPort}`;
    if (cause.code === "EADDRNOTAVAIL")
      return fault(`Bind for ${at} failed: this host has no address ${hostIp}`);
    if (cause.code !== "EADDRINUSE") return fault(`Bind for ${at} failed: ${cause.message}`);
    const container = this.#ownerOf(port);
    if (container !== undefined)
      return fault(
        `Bind for ${at} failed: port is already allocated (by container ${container}: stop it or choose another port)`,
      );
    const owner = portOwner(protocol, hostPort);
    const who = owner === undefined ? "" : ` (by process ${owner.pid}, ${owner.name})`;
    return fault(
      `failed to bind port ${at}/${protocol}: address already in use${who}: stop it or choose another port`,
    );
  }

  /** After a restart: the same ports again. @returns Those somebody else has meanwhile. */
  retake(containerId: string, ports: readonly PublishedPort[]): PublishedPort[] {
    const lost: PublishedPort[] = [];
    const held = new Map<string, Reservation>();
    for (const port of ports) {
      if (port.hostPort === 0) continue;
      try {
        held.set(keyOf(port), this.#reserve(port));
      } catch {
        lost.push(port);
      }
    }
    this.#held.set(containerId, held);
    return lost;
  }

  /** All of a container's, or these. Idempotent. */
  release(containerId: string, ports?: readonly PublishedPort[]): void {
    const held = this.#held.get(containerId);
    for (const key of ports?.map(keyOf) ?? [...(held?.keys() ?? [])]) {
      held?.get(key)?.[Symbol.dispose]();
      held?.delete(key);
    }
    if (held?.size === 0) this.#held.delete(containerId);
  }

  releaseAll(): void {
    for (const id of [...this.#held.keys()]) this.release(id);
  }
}

type Reservation = PortReservation | RelayedPort;

interface Taken {
  readonly port: PublishedPort;
  readonly reservation: Reservation | undefined;
}

class PortTaken extends Error {
  readonly port: PublishedPort;
  readonly errno: Errno;

  constructor(port: PublishedPort, errno: Errno) {
    super(errno.message);
    this.port = port;
    this.errno = errno;
  }
}

function keyOf({ protocol, hostIp, hostPort }: PublishedPort): string {
  return `${protocol} ${hostIp} ${hostPort}`;
}
