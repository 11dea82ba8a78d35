/** Memory worth giving back at once, in bytes. */
const givenBackBytesMin = 16 * 1024;

/**
 * Frees what was read from a socket and used, so that the next bytes come into the same memory: left to the collector, a long
 * stream goes through tens of megabytes, and the first touch of each page costs more than all that is done with its bytes.
 * The caller is the only one who has `bytes`, which are empty afterwards; parts of a larger piece of memory stay as they are.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  const owned = byteLength === buffer.byteLength && byteLength >= givenBackBytesMin;
  if (owned && buffer instanceof ArrayBuffer) if ("transfer" in buffer) buffer.transfer(0);
}
