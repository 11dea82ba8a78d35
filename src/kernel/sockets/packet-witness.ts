/**
 * Sees what arrives in a network namespace before any of its rules do: probes by datagram that begin with a mark, and attempts
 * to connect (packet(7), and its filters: bpf in the kernel's networking/filter.txt).
 * Never: takes anything from who it is for.
 */
import { FFIType, ptr } from "bun:ffi";
import { check, libc, pinnedBuffer } from "#kernel/libc.ts";
import { addressOf, type Family } from "#spec/ip.ts";

const { i32, i64, u32, u64 } = FFIType;
const c = libc({
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, FFIType.ptr, u32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, FFIType.ptr, u32], returns: i32 },
  recv: { args: [i32, FFIType.ptr, u64, i32], returns: i64 },
  close: { args: [i32], returns: i32 },
});

const packetFamily = 17;
const datagramNonBlockCloseOnExec = 0o2004002;
/** `SOL_SOCKET`, `SO_ATTACH_FILTER`. */
const [socketLevel, attachFilter] = [1, 26];
/** By family: the protocol of frames (`ETH_P_IP`, `ETH_P_IPV6`), and where the next protocol and the source address stand. */
const shapes = {
  4: { frames: 0x0800, protocol: 9, source: [12, 16] },
  6: { frames: 0x86dd, protocol: 6, source: [8, 24] },
} as const;
const fixedHeader = 40;
const [tcp, udp] = [6, 17];
const [synAck, syn] = [0x12, 0x02];
/** Bytes of a packet that are looked at, and packets of one look. */
const [seenBytes, seenMax] = [256, 1024];

/** What probes by datagram must begin with. */
export const probeMark = "wherry-probe ";

export interface Arrival {
  readonly protocol: "tcp" | "udp";
  readonly source: string;
  readonly port: number;
  /** Of a datagram, behind the mark. */
  readonly text: string;
}

const buffer = pinnedBuffer(seenBytes);

export class PacketWitness implements Disposable {
  readonly #fd: number;
  readonly #family: Family;

  /** In the network namespace of the calling thread, from now on. */
  constructor(family: Family) {
    this.#family = family;
    // Of no protocol yet: nothing that the filter would leave out comes in before it is there.
    this.#fd = check(c.socket(packetFamily, datagramNonBlockCloseOnExec, 0), () => "look at packets");
    try {
      const filter = program(family);
      const size = filter.length / instructionBytes;
      const described = pinnedBuffer(16);
      described.writeUInt16LE(size, 0);
      described.writeBigUInt64LE(BigInt(ptr(filter)), 8);
      check(
        c.setsockopt(this.#fd, socketLevel, attachFilter, described, described.length),
        () => "choose packets",
      );
      // `struct sockaddr_ll`, of every interface.
      const address = Buffer.alloc(20);
      address.writeUInt16LE(packetFamily, 0);
      address.writeUInt16BE(shapes[family].frames, 2);
      check(c.bind(this.#fd, address, address.length), () => "look at packets");
    } catch (error) {
      c.close(this.#fd);
      throw error;
    }
  }

  /** What came since the last look. */
  look(): Arrival[] {
    const arrivals: Arrival[] = [];
    for (let count = 0; count < seenMax; count++) {
      const length = Number(c.recv(this.#fd, ptr(buffer), buffer.length, 0));
      if (length < 0) break;
      arrivals.push(...arrivalOf(this.#family, Buffer.from(buffer.subarray(0, length))));
    }
    return arrivals;
  }

  /** Waits for the kernel, some 10 ms. */
  [Symbol.dispose](): void {
    c.close(this.#fd);
  }
}

/** Pure. None for what is cut off. */
export function arrivalOf(family: Family, packet: Buffer): Arrival[] {
  const { protocol, source } = shapes[family];
  const header = family === 4 ? 4 * ((packet[0] ?? 0) & 15) : fixedHeader;
  if (packet.length < header + 8) return [];
  const found = { source: addressOf(packet.subarray(...source)), port: packet.readUInt16BE(header + 2) };
  if (packet[protocol] === tcp) return [{ protocol: "tcp", ...found, text: "" }];
  const text = packet.toString("latin1", header + 8 + probeMark.length);
  return [{ protocol: "udp", ...found, text }];
}

const instructionBytes = 8;

/** Datagrams whose first four bytes are the mark's, and segments that only open a connection. Headers of IPv6 that others follow are none. */
function program(family: Family): Buffer {
  const ip4 = family === 4;
  // How far the next protocol's header is away: of IPv4 in the index register.
  const load = (size: "word" | "byte", at: number): Instruction => {
    const width = size === "word" ? 0x00 : 0x10;
    return ip4 ? [0x40 | width, 0, 0, at] : [0x20 | width, 0, 0, fixedHeader + at];
  };
  const index: Instruction[] = ip4 ? [[0xb1, 0, 0, 0]] : [];
  const mark = Buffer.from(probeMark).readUInt32BE(0);
  const lines: Instruction[] = [
    ...index,
    [0x30, 0, 0, shapes[family].protocol],
    [0x15, 3, 0, tcp],
    [0x15, 0, 6, udp],
    load("word", 8),
    [0x15, 3, 4, mark],
    load("byte", 13),
    [0x54, 0, 0, synAck],
    [0x15, 0, 1, syn],
    [0x06, 0, 0, seenBytes],
    [0x06, 0, 0, 0],
  ];
  const bytes = pinnedBuffer(lines.length * instructionBytes);
  lines.forEach(([code, whenTrue, whenFalse, value], at) => {
    bytes.writeUInt16LE(code, at * instructionBytes);
    bytes.writeUInt8(whenTrue, at * instructionBytes + 2);
    bytes.writeUInt8(whenFalse, at * instructionBytes + 3);
    bytes.writeUInt32LE(value, at * instructionBytes + 4);
  });
  return bytes;
}

/** Code, how many to leave out when it is so and when not, and what it is about. */
type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, value: number];
