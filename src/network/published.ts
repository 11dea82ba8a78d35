/**
 * Ports of this host that lead to containers.
 * Owns: the bound sockets that keep a port from everyone else, for as long as the engine lives and the container runs.
 */
import { Errno } from "#kernel/libc.ts";
import { portOwner } from "#kernel/port-owner.ts";
import { type PortReservation, reservePort } from "#kernel/port-reservation.ts";
import { Fault } from "#spec/fault.ts";
import type { PublishedPort } from "#spec/network.ts";
import type { PortRequest } from "./ports.ts";

/** Looks for a port free for what was asked; more would be a search without end. */
const rangeMax = 1000;

export class PublishedPorts {
  readonly #held = new Map<string, readonly PortReservation[]>();
  readonly #ownerOf: (port: PublishedPort) => string | undefined;

  /** `ownerOf` names the container that has a port. */
  constructor(ownerOf: (port: PublishedPort) => string | undefined) {
    this.#ownerOf = ownerOf;
  }

  /** All or none. @throws Fault `internal` in dockerd's words, with who has the port. */
  take(containerId: string, name: string, requests: readonly PortRequest[]): PublishedPort[] {
    using stack = new DisposableStack();
    const held: PortReservation[] = [];
    const ports = requests.map((request) => {
      const taken = stack.use(this.#takeOne(name, request));
      held.push(taken);
      const { protocol, containerPort, hostIp } = request;
      return { protocol, containerPort, hostIp, hostPort: taken.port };
    });
    stack.move();
    if (held.length > 0) this.#held.set(containerId, held);
    return ports;
  }

  #takeOne(name: string, request: PortRequest): PortReservation {
    const { protocol, hostIp, hostPort } = request;
    if (hostPort === undefined) return reservePort(protocol, hostIp, 0);
    const last = Math.min(hostPort.high, hostPort.low + rangeMax);
    for (let port = hostPort.low; ; port++) {
      try {
        return reservePort(protocol, hostIp, port);
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        if (error.code !== "EADDRINUSE" || port >= last)
          throw this.#failure(name, { ...request, hostPort: port }, error);
      }
    }
  }

  #failure(name: string, port: PublishedPort, cause: Errno): Fault {
    const { protocol, hostIp, hostPort } = port;
    const start = `driver failed programming external connectivity on endpoint ${name}:`;
    const fault = (text: string) => new Fault("internal", `${start} ${text}`, { cause });
    const at = `${hostIp}:${hostPort}`;
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
    const held = ports.flatMap((port) => {
      try {
        return [reservePort(port.protocol, port.hostIp, port.hostPort)];
      } catch {
        lost.push(port);
        return [];
      }
    });
    this.#held.set(containerId, held);
    return lost;
  }

  /** Idempotent. */
  release(containerId: string): void {
    for (const each of this.#held.get(containerId) ?? []) each[Symbol.dispose]();
    this.#held.delete(containerId);
  }

  releaseAll(): void {
    for (const id of [...this.#held.keys()]) this.release(id);
  }
}
