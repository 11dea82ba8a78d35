/**
 * A client's directory into a kept copy: the listing is compared, only content that changed is asked for.
 * Source of the protocol: tonistiigi/fsutil receive.go.
 */
import type { ClientCall } from "#grpc/grpc-channel.ts";
import { Fault } from "#spec/fault.ts";
import { type FileStat, type Packet, packetType } from "#spec/file-packets.ts";
import type { Read, Written } from "#spec/proto-message.ts";
import type { Mirror } from "./mirror.ts";

/** A file up to this size is written when all of it is there. */
const wholeBytesMax = 256 * 1024;

export type PacketCall = ClientCall<Written<typeof Packet>, Read<typeof Packet>>;

/** @throws Fault in the client's words when it gives up, or `invalid` for a listing that cannot be. */
export async function receiveFiles(
  call: PacketCall,
  mirror: Mirror,
  told: (bytes: number) => void,
): Promise<void> {
  const receiver = new Receiver(call, mirror, told);
  try {
    for await (const packet of call.responses) {
      await receiver.take(packet);
      if (receiver.over) call.end();
    }
  } finally {
    receiver.close();
  }
  if (!receiver.over) throw new Fault("unavailable", "the client stopped sending its files");
}

interface Coming {
  readonly stat: FileStat;
  /** Until it is larger than `wholeBytesMax`. */
  readonly parts: Uint8Array[];
  bytes: number;
  file?: { write(part: Uint8Array): void; end(): void };
}

class Receiver {
  readonly #call: PacketCall;
  readonly #mirror: Mirror;
  readonly #told: (bytes: number) => void;
  readonly #coming = new Map<number, Coming>();
  #listed = 0;
  #listEnded = false;
  #saidEnd = false;
  #bytes = 0;
  over = false;

  constructor(call: PacketCall, mirror: Mirror, told: (bytes: number) => void) {
    this.#call = call;
    this.#mirror = mirror;
    this.#told = told;
  }

  async take(packet: Read<typeof Packet>): Promise<void> {
    switch (packet.type) {
      case packetType.stat:
        await this.#list(packet.stat);
        break;
      case packetType.data:
        this.#content(packet.ID, packet.data);
        break;
      case packetType.end:
        if (!this.#saidEnd)
          throw new Fault("invalid", "the client ended the transfer before it was complete");
        this.over = true;
        return;
      case packetType.error:
        throw new Fault("invalid", Buffer.from(packet.data).toString() || "the client cannot read its files");
      default:
        throw new Fault("invalid", `the client sent a packet of an unknown type: ${packet.type}`);
    }
    if (!this.#listEnded || this.#coming.size > 0 || this.#saidEnd) return;
    this.#saidEnd = true;
    await this.#call.send({ type: packetType.end });
  }

  async #list(stat: FileStat | undefined): Promise<void> {
    if (stat === undefined) {
      this.#listEnded = true;
      return;
    }
    if (this.#listEnded) throw new Fault("invalid", "the client lists files after the end of its listing");
    const id = this.#listed++;
    this.#count(stat.path.length + 16);
    if (!this.#mirror.place(stat)) return;
    this.#coming.set(id, { stat, parts: [], bytes: 0 });
    await this.#call.send({ type: packetType.request, ID: id });
  }

  #content(id: number, data: Uint8Array): void {
    const coming = this.#coming.get(id);
    if (coming === undefined) throw new Fault("invalid", "the client sent content nobody asked for");
    this.#count(data.length);
    if (data.length === 0) {
      this.#coming.delete(id);
      if (coming.file === undefined) this.#mirror.write(coming.stat, coming.parts);
      else coming.file.end();
      return;
    }
    coming.bytes += data.length;
    if (coming.file === undefined && coming.bytes > wholeBytesMax) {
      coming.file = this.#mirror.begin(coming.stat);
      for (const part of coming.parts.splice(0)) coming.file.write(part);
    }
    if (coming.file === undefined) coming.parts.push(data);
    else coming.file.write(data);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#told(this.#bytes);
  }

  /** Closes what a transfer that broke off left open. */
  close(): void {
    for (const { file } of this.#coming.values()) file?.end();
  }
}
