/** Pure. Instants as the docker CLI prints them. */

/** RFC 3339 with nine digits of a second, in the local zone. */
export function localTime(timeNano: bigint): string {
  const date = new Date(Number(timeNano / 1_000_000n));
  const offset = -date.getTimezoneOffset();
  const shifted = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 19);
  const fraction = String(timeNano % 1_000_000_000n).padStart(9, "0");
  const two = (value: number) => String(Math.trunc(value)).padStart(2, "0");
  const zone =
    offset === 0
      ? "Z"
      : `${offset < 0 ? "-" : "+"}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
  return `${shifted}.${fraction}${zone}`;
}
