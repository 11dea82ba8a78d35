/** Ports that are taken without being listened on: bound sockets, so that nobody else gets them (bind(2)). IPv4. */
import { FFIType } from "bun:ffi";
import { check, libc } from "./libc.ts";

const c = libc({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  getsockname: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});

const ipv4 = 2;
const closeOnExec = 0o2000000;
const kinds = { tcp: 1, udp: 2 } as const;
/** `struct sockaddr_in`. */
const addressBytes = 16;

export interface PortReservation extends Disposable {
  readonly port: number;
}

/** In the network namespace of the calling thread. Port 0 takes any free one. @throws Errno `EADDRINUSE`, `EADDRNOTAVAIL`. */
export function reservePort(protocol: "tcp" | "udp", address: string, port: number): PortReservation {
  const fd = check(c.socket(ipv4, kinds[protocol] | closeOnExec, 0), () => "make a socket");
  const name = Buffer.alloc(addressBytes);
  name.writeUInt16LE(ipv4, 0);
  name.writeUInt16BE(port, 2);
  name.set(address.split(".").map(Number), 4);
  try {
    check(c.bind(fd, name, addressBytes), () => `take the port ${address}:${port}/${protocol}`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(addressBytes, 0);
    check(c.getsockname(fd, name, length), () => "look at a socket");
  } catch (error) {
    c.close(fd);
    throw error;
  }
  let open = true;
  return {
    port: name.readUInt16BE(2),
    [Symbol.dispose]: () => {
      if (open) c.close(fd);
      open = false;
    },
  };
}
