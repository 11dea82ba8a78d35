/**
 * Pure. How long an answer of others may be kept, and what it says later (RFC 1035 section 4.1, RFC 2308). Looks at the frame
 * of records only: what is in them goes on as it came.
 */
import { questionEnd, rcode, rcodeOf } from "./dns-answer.ts";

interface FramedRecord {
  readonly type: number;
  /** Where its four bytes begin. */
  readonly ttlAt: number;
  readonly dataAt: number;
  readonly dataEnd: number;
  readonly section: "answer" | "authority" | "additional";
}

const [soa, extension] = [6, 41];
const truncated = 1 << 9;
/** Longest that anything is kept: an address that moved is found again. */
export const keptSecondsMax = 3600;
/** The same for what is not there (RFC 2308 wants no more than three hours). */
const missingSecondsMax = 300;
/** Records of one message that are looked at. */
const recordsMax = 512;

/** Undefined when the message is not what it says it is. */
function framedRecords(message: Buffer): FramedRecord[] | undefined {
  let at = questionEnd(message);
  if (at === undefined || message.readUInt16BE(4) !== 1) return undefined;
  const records: FramedRecord[] = [];
  for (const [section, counter] of [
    ["answer", 6],
    ["authority", 8],
    ["additional", 10],
  ] as const)
    for (let left = message.readUInt16BE(counter); left > 0; left--) {
      const name = nameEnd(message, at);
      if (name === undefined || name + 10 > message.length || records.length >= recordsMax) return undefined;
      const dataAt: number = name + 10;
      const dataEnd: number = dataAt + message.readUInt16BE(name + 8);
      if (dataEnd > message.length) return undefined;
      records.push({ type: message.readUInt16BE(name), ttlAt: name + 4, dataAt, dataEnd, section });
      at = dataEnd;
    }
  return records;
}

/** Behind a name; a pointer ends it, wherever that leads. */
function nameEnd(message: Buffer, start: number): number | undefined {
  for (let at = start; at < message.length; ) {
    const length = message[at] ?? 0;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return undefined;
    at += length + 1;
    if (length === 0) return at;
  }
  return undefined;
}

/** Seconds; 0 when it may not be kept. */
export function keptSeconds(reply: Buffer): number {
  const code = rcodeOf(reply);
  if ((reply.readUInt16BE(2) & truncated) !== 0 || (code !== 0 && code !== rcode.nameError)) return 0;
  const records = framedRecords(reply);
  if (records === undefined) return 0;
  const ttl = ({ ttlAt }: FramedRecord) => reply.readUInt32BE(ttlAt);
  const answers = records.filter(({ section }) => section === "answer");
  if (code === 0 && answers.length > 0) return Math.min(keptSecondsMax, ...answers.map(ttl));
  // Nothing is there, for as long as the zone says.
  const authority = records.find(({ section, type }) => section === "authority" && type === soa);
  if (authority === undefined || authority.dataEnd - authority.dataAt < 22) return 0;
  return Math.min(missingSecondsMax, ttl(authority), reply.readUInt32BE(authority.dataEnd - 4));
}

/** The answer to the same question, asked `seconds` later under another id and in other letters. */
export function agedReply(reply: Buffer, query: Buffer, seconds: number): Buffer {
  const aged = Buffer.from(reply);
  query.copy(aged, 0, 0, 2);
  query.copy(aged, 12, 12, questionEnd(query));
  for (const { ttlAt, type } of framedRecords(reply) ?? [])
    if (type !== extension) aged.writeUInt32BE(Math.max(0, aged.readUInt32BE(ttlAt) - seconds), ttlAt);
  return aged;
}
