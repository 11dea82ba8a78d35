/** Pure. Headers of a call beside those HTTP/2 and gRPC have for themselves. */

/** Names in lower case; each may have several values. */
export type Metadata = Readonly<Record<string, readonly string[]>>;

const ownHeaders = /^(?::.*|content-type|te|user-agent|grpc-.*)$/;

/** From alternating names and values, as HTTP/2 brought them. */
export function metadataOf(rawHeaders: readonly string[]): Metadata {
  const found: Record<string, string[]> = Object.create(null);
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? "").toLowerCase();
    if (ownHeaders.test(name)) continue;
    found[name] ??= [];
    found[name].push(rawHeaders[index + 1] ?? "");
  }
  return found;
}

/** The first value of a name. */
export function first(metadata: Metadata, name: string): string | undefined {
  return metadata[name]?.[0];
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** `grpc-timeout` in milliseconds; undefined when absent or not one. */
export function timeoutMs(header: string | undefined): number | undefined {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(header ?? "");
  if (match === null) return undefined;
  return Math.ceil(Number(match[1]) * (unitMs[match[2] ?? ""] ?? 0));
}

/** `grpc-message`: bytes outside of printable ASCII, and `%`, escaped. */
export function escapeStatusText(text: string): string {
  let escaped = "";
  for (const byte of Buffer.from(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    escaped += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}

export function unescapeStatusText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
