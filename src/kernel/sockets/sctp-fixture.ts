/** For tests: SCTP packets (RFC 9260) without SCTP sockets, which few kernels have; what translates ports only sees packets. */
import { FFIType } from "bun:ffi";
import { check, libc } from "#kernel/libc.ts";
import { addressBytes } from "#spec/ip.ts";

const { i32, i64, u32, u64 } = FFIType;
const c = libc({
  socket: { args: [i32, i32, i32], returns: i32 },
  sendto: { args: [i32, FFIType.ptr, u64, i32, FFIType.ptr, u32], returns: i64 },
  close: { args: [i32], returns: i32 },
});

const [ipv4Family, rawCloseOnExec, sctp] = [2, 0o2000003, 132];
const initialBytes = 32;

/** Asks for an association, by IPv4, from the network namespace of the calling thread. */
export function sendInitial(address: string, port: number): void {
  const fd = check(c.socket(ipv4Family, rawCloseOnExec, sctp), () => "make a raw socket");
  try {
    const to = Buffer.alloc(16);
    to.writeUInt16LE(ipv4Family, 0);
    to.set(addressBytes(address), 4);
    const packet = initial(port);
    check(c.sendto(fd, packet, packet.length, 0, to, to.length), () => `send to ${address}`);
  } finally {
    c.close(fd);
  }
}

/** The common header and one INIT chunk. */
function initial(port: number): Buffer {
  const packet = Buffer.alloc(initialBytes);
  packet.writeUInt16BE(40_000 + Math.floor(Math.random() * 20_000), 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  // Its tag, window, streams out and in, and first number.
  packet.writeUInt32BE(1, 16);
  packet.writeUInt32BE(65_536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(1, 28);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
