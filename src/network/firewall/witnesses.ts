/**
 * Who sees in a container's namespace what came to it: one witness for each container that is asked about.
 * Owns: them, until disposed. Never: keeps the engine from its work while they go, each of which waits for the kernel.
 */
import { inNamespace } from "#kernel/network/netns.ts";
import { PacketWitness } from "#kernel/sockets/packet-witness.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import { families } from "#spec/ip.ts";
import { addressIn } from "#spec/network.ts";

export interface ContainerWitness {
  sawDatagram(token: string): boolean;
  forgetAttempts(): void;
  /** To connect to that port, from one of these addresses. */
  sawAttempt(port: number, sources: readonly string[]): boolean;
}

export class Witnesses implements AsyncDisposable {
  readonly #sandboxes: ReadonlyMap<string, SandboxRecord>;
  readonly #known = new Map<string, Seeing>();

  constructor(sandboxes: readonly SandboxRecord[]) {
    this.#sandboxes = new Map(sandboxes.map((each) => [each.containerId, each]));
  }

  of({
    containerId,
    netnsPath,
  }: {
    readonly containerId: string;
    readonly netnsPath: string;
  }): ContainerWitness {
    const known = this.#known.get(containerId);
    if (known !== undefined) return known;
    const endpoints = this.#sandboxes.get(containerId)?.endpoints ?? [];
    const spoken = families.filter((family) => endpoints.some((each) => addressIn(each, family) !== ""));
    let witnesses: PacketWitness[] = [];
    try {
      witnesses = inNamespace(netnsPath, () => spoken.map((family) => new PacketWitness(family)));
    } catch {
      // The container went meanwhile: nothing comes to it.
    }
    const seeing = new Seeing(witnesses);
    this.#known.set(containerId, seeing);
    return seeing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { witnesses } of this.#known.values())
      for (const witness of witnesses) {
        witness[Symbol.dispose]();
        await new Promise(setImmediate);
      }
  }
}

class Seeing implements ContainerWitness {
  readonly witnesses: readonly PacketWitness[];
  readonly #tokens = new Set<string>();
  /** `SOURCE PORT` */
  readonly #attempts = new Set<string>();

  constructor(witnesses: readonly PacketWitness[]) {
    this.witnesses = witnesses;
  }

  #look(): void {
    for (const { port, protocol, source, text } of this.witnesses.flatMap((each) => each.look()))
      if (protocol === "udp") this.#tokens.add(text);
      else this.#attempts.add(`${source} ${port}`);
  }

  sawDatagram(token: string): boolean {
    this.#look();
    return this.#tokens.has(token);
  }

  forgetAttempts(): void {
    this.#look();
    this.#attempts.clear();
  }

  sawAttempt(port: number, sources: readonly string[]): boolean {
    this.#look();
    return sources.some((source) => this.#attempts.has(`${source} ${port}`));
  }
}
