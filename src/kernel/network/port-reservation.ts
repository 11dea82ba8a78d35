/** Ports that are taken without being listened on: bound sockets, so that nobody else gets them (bind(2)). */
import { FFIType } from "bun:ffi";
import { check, Errno, libc } from "#kernel/libc.ts";
import { addressBytes, anywhere, familyOf, isAnywhere } from "#spec/ip.ts";
import type { PortProtocol } from "#spec/network.ts";

const { i32, u32 } = FFIType;
const c = libc({
  socket: { args: [i32, i32, i32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, FFIType.ptr, u32], returns: i32 },
  bind: { args: [i32, FFIType.ptr, u32], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  getsockname: { args: [i32, FFIType.ptr, FFIType.ptr], returns: i32 },
  close: { args: [i32], returns: i32 },
});

const closeOnExec = 0o2000000;
/** Type and protocol. */
const kinds = { tcp: [1, 0], udp: [2, 0], sctp: [1, 132] } as const;
/** `struct sockaddr_in` and `sockaddr_in6`: family, size, and where the address is. */
const shapes = { 4: { family: 2, bytes: 16, address: 4 }, 6: { family: 10, bytes: 28, address: 8 } } as const;
/** `IPPROTO_IPV6`, `IPV6_V6ONLY`. */
const [ipv6Level, onlyIpv6] = [41, 26];
/** `SOL_SOCKET`, `SO_REUSEADDR`. */
const [socketLevel, reuseAddress] = [1, 2];
/** Connections that nobody has taken yet (listen(2)). */
const backlog = 512;

export interface PortReservation extends Disposable {
  readonly port: number;
}

/**
 * In the network namespace of the calling thread. Port 0 takes any free one.
 * @throws Errno `EADDRINUSE`, `EADDRNOTAVAIL`.
 */
export function reservePort(protocol: PortProtocol, address: string, port: number): PortReservation {
  const bound = bindSocket(protocol, address, port);
  // A kernel without SCTP translates its ports as well, but lets nobody listen on them either: the number is enough.
  if (bound === undefined) return bookPort(protocol, address, port);
  let open = true;
  return {
    port: bound.port,
    [Symbol.dispose]: () => {
      if (open) c.close(bound.fd);
      open = false;
    },
  };
}

/** A port that somebody in this process serves, who then owns the descriptor. */
export interface ServedPort {
  readonly fd: number;
  readonly port: number;
}

/**
 * As `reservePort`, but connections are taken: the descriptor listens when its protocol is TCP. Connections of a server that
 * went, which the kernel keeps for a while, are in nobody's way.
 * @throws Errno `EADDRINUSE`, `EADDRNOTAVAIL`.
 */
export function servePort(protocol: "tcp" | "udp", address: string, port: number): ServedPort {
  const bound = bindSocket(protocol, address, port, { reuse: protocol === "tcp" });
  if (bound === undefined) throw new Errno(protocolNotSupported, "make a socket");
  if (protocol === "udp") return bound;
  try {
    // Two may bind so, but only one may listen.
    const at = `${address}:${bound.port}/${protocol}`;
    check(c.listen(bound.fd, backlog), () => `take the port ${at}`);
    return bound;
  } catch (error) {
    c.close(bound.fd);
    throw error;
  }
}

/** Whether the network namespace of the calling thread has a loopback of IPv6. Asked anew each time: sysctls change it. */
export function hostHasIpv6(): boolean {
  try {
    reservePort("udp", "::1", 0)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

/** For whoever was to own it and never did. */
export function closeServed({ fd }: ServedPort): void {
  c.close(fd);
}

/** Undefined where the kernel does not know the protocol. */
function bindSocket(
  protocol: PortProtocol,
  address: string,
  port: number,
  o: { readonly reuse: boolean } = { reuse: false },
): ServedPort | undefined {
  const shape = shapes[familyOf(address)];
  const [type, number] = kinds[protocol];
  const fd = openSocket(shape.family, type, number);
  if (fd === undefined) return undefined;
  const name = Buffer.alloc(shape.bytes);
  name.writeUInt16LE(shape.family, 0);
  name.writeUInt16BE(port, 2);
  name.set(addressBytes(address), shape.address);
  try {
    const one = Buffer.from([1, 0, 0, 0]);
    if (o.reuse) check(c.setsockopt(fd, socketLevel, reuseAddress, one, one.length), () => "set up a socket");
    if (familyOf(address) === 6)
      check(c.setsockopt(fd, ipv6Level, onlyIpv6, one, one.length), () => "set up a socket");
    check(c.bind(fd, name, name.length), () => `take the port ${address}:${port}/${protocol}`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(name.length, 0);
    check(c.getsockname(fd, name, length), () => "look at a socket");
  } catch (error) {
    c.close(fd);
    throw error;
  }
  return { fd, port: name.readUInt16BE(2) };
}

/** Undefined where the kernel does not know the protocol. */
function openSocket(family: number, type: number, protocol: number): number | undefined {
  try {
    return check(c.socket(family, type | closeOnExec, protocol), () => "make a socket");
  } catch (error) {
    if (error instanceof Errno && error.code === "EPROTONOSUPPORT") return undefined;
    throw error;
  }
}

/** Of each protocol, family and port: the addresses. */
const booked = new Map<string, Set<string>>();
/** Where numbers nobody asked for are looked for, as IANA has it (RFC 6335). */
const [firstFree, lastFree] = [49152, 65535];

/** @throws Errno `EADDRINUSE`. */
function bookPort(protocol: PortProtocol, address: string, wanted: number): PortReservation {
  const keyOf = (port: number) => `${protocol} ${familyOf(address)} ${port}`;
  const taken = (port: number) => {
    const others = booked.get(keyOf(port)) ?? new Set();
    return isAnywhere(address)
      ? others.size > 0
      : others.has(address) || others.has(anywhere[familyOf(address)]);
  };
  let port = wanted;
  if (port === 0) for (port = firstFree; taken(port) && port < lastFree; ) port++;
  if (taken(port)) throw new Errno(addressInUse, `take the port ${address}:${port}/${protocol}`);
  const addresses = booked.get(keyOf(port)) ?? new Set<string>();
  booked.set(keyOf(port), addresses.add(address));
  return {
    port,
    [Symbol.dispose]: () => {
      addresses.delete(address);
      if (addresses.size === 0) booked.delete(keyOf(port));
    },
  };
}

const [protocolNotSupported, addressInUse] = [93, 98];
