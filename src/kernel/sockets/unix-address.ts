/** Addresses of unix sockets by path, of any length. */
import { closeSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";

const unixFamily = 1;
/** Of `sun_path`, its NUL included. */
const pathBytesMax = 108;

/** A `sockaddr_un`; disposed when it was used. A long path is reached through a descriptor of its directory. */
export function unixAddress(path: string): Disposable & { readonly bytes: Buffer; readonly length: number } {
  const directory = Buffer.byteLength(path) < pathBytesMax ? undefined : openSync(dirname(path), "r");
  const short = directory === undefined ? path : `/proc/self/fd/${directory}/${basename(path)}`;
  const bytes = Buffer.alloc(2 + pathBytesMax);
  bytes.writeUInt16LE(unixFamily, 0);
  bytes.write(short, 2);
  return {
    bytes,
    length: 2 + Buffer.byteLength(short) + 1,
    [Symbol.dispose]: () => {
      if (directory !== undefined) closeSync(directory);
    },
  };
}
