/** Pure. Names in the order of their bytes as UTF-8, which is that of tar archives and of cache keys. */

/** Less than, equal to or greater than 0. */
export function compareBytes(one: string, other: string): number {
  if (surrogate.test(one) || surrogate.test(other))
    return Buffer.compare(Buffer.from(one), Buffer.from(other));
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Characters of two units come after all others as bytes, and not as units. */
const surrogate = /[\ud800-\udfff]/;
