/** What the host remembers of who has an address on a link, through rtnetlink(7). */

import { Errno } from "#kernel/libc.ts";
import { addressBytes, familyOf } from "#spec/ip.ts";
import type { Netlink } from "./netlink.ts";

const deleteNeighbour = 29;
/** `NDA_DST`. */
const destination = 1;
/** `AF_INET`, `AF_INET6`. */
const numbers = { 4: 2, 6: 10 } as const;

/** The next packet there asks anew. Idempotent. */
export function forgetNeighbour(netlink: Netlink, index: number, address: string): void {
  // `struct ndmsg`.
  const body = Buffer.alloc(12);
  body.writeUInt8(numbers[familyOf(address)], 0);
  body.writeInt32LE(index, 4);
  const attributes = [[destination, Buffer.from(addressBytes(address))]] as const;
  try {
    netlink.change(deleteNeighbour, 0, body, attributes, `forget who has ${address}`);
  } catch (error) {
    if (!(error instanceof Errno && error.code === "ENOENT")) throw error;
  }
}
