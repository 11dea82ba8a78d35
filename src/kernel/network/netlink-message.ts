/** Pure. Messages of netlink(7) and rtnetlink(7): a header, a fixed body, attributes in a tree. Little-endian machines. */

/** Attributes by type; a list is a nest. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

const headerBytes = 16;
const attributeHeaderBytes = 4;
const typeMask = 0x3fff;

function aligned(length: number): number {
  return (length + 3) & ~3;
}

export function encodeMessage(
  o: { readonly type: number; readonly flags: number; readonly sequence: number },
  body: Uint8Array,
  attributes: readonly Attribute[],
): Buffer {
  const payload = Buffer.concat([padded(body), encodeAttributes(attributes)]);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(headerBytes + payload.length, 0);
  header.writeUInt16LE(o.type, 4);
  header.writeUInt16LE(o.flags, 6);
  header.writeUInt32LE(o.sequence, 8);
  return Buffer.concat([header, payload]);
}

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(
    attributes.map(([type, value]) => {
      const content = value instanceof Uint8Array ? value : encodeAttributes(value);
      const header = Buffer.alloc(attributeHeaderBytes);
      header.writeUInt16LE(attributeHeaderBytes + content.length, 0);
      header.writeUInt16LE(type, 2);
      return padded(Buffer.concat([header, content]));
    }),
  );
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}

/** The messages in one datagram. What is cut off is left out. */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < headerBytes || at + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + headerBytes, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** The attributes behind a body of `bodyBytes`, by type; the last of equal ones. */
export function decodeAttributes(payload: Buffer, bodyBytes: number): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = aligned(bodyBytes); at + attributeHeaderBytes <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    if (length < attributeHeaderBytes || at + length > payload.length) break;
    const type = payload.readUInt16LE(at + 2) & typeMask;
    attributes.set(type, payload.subarray(at + attributeHeaderBytes, at + length));
    at += aligned(length);
  }
  return attributes;
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value, 0);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0, 0);
  return bytes;
}

/** With the NUL the kernel expects. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}
