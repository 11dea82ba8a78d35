/** Pure. How large an archive may become when it is unpacked. */

/** What any archive may come to, in bytes. */
const alwaysAllowed = 1 << 30;
/** Real file systems compress three to ten times; a bomb a thousand times and more. */
const ratioMax = 200;

export function unpackedBytesMax(packedBytes: number): number {
  return Math.max(alwaysAllowed, packedBytes * ratioMax);
}
