/**
 * Pure. What a name server of a container answers by itself (RFC 1035, EDNS: RFC 6891).
 */
import { type Answer, decode, encode, type OptAnswer, type Packet, type Question } from "dns-packet";
import { type Family, formatAddress } from "#spec/ip.ts";

export interface Lookups {
  /** Undefined when nobody has the name, empty when those who do have no address of the family. */
  addresses(name: string, family: Family): readonly string[] | undefined;
  nameOf(address: string): string | undefined;
}

/** `drop`: no answer at all, for what is no question. `forward`: others may know. */
export type Outcome =
  /** `turns`: how many turns it takes until the same comes again. */
  | { readonly kind: "reply"; readonly bytes: Buffer; readonly turns: number }
  | { readonly kind: "forward"; readonly singleLabel: boolean }
  | { readonly kind: "drop" };

/** As dockerd has it; seconds. */
const ttlSeconds = 600;
/** What everybody takes (RFC 1035), and what is offered to those who take more (RFC 9715). */
const [plainBytesMax, offeredBytes] = [512, 1232];
const headerBytes = 12;
const flag = { response: 1 << 15, truncated: 1 << 9, recursionDesired: 1 << 8, recursionAvailable: 1 << 7 };
const opcodeMask = 0x7800;
export const rcode = { formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4 } as const;

/** `turn` goes up with every question: who has several addresses gets them in another order each time. */
export function answer(
  query: Buffer,
  lookups: Lookups,
  o: { readonly transport: "udp" | "tcp"; readonly turn: number },
): Outcome {
  if (query.length < headerBytes || (query.readUInt16BE(2) & flag.response) !== 0) return { kind: "drop" };
  if ((query.readUInt16BE(2) & opcodeMask) !== 0)
    return { kind: "reply", bytes: failure(query, rcode.notImplemented), turns: 1 };
  const packet = parse(query);
  const [question, ...more] = packet?.questions ?? [];
  if (packet === undefined || question === undefined || more.length > 0)
    return { kind: "reply", bytes: failure(query, rcode.formatError), turns: 1 };
  const answers = question.class === "IN" ? known(question, lookups, o.turn) : undefined;
  if (answers === undefined)
    return { kind: "forward", singleLabel: !question.name.replace(/\.$/, "").includes(".") };
  const bytes = render(packet, question, answers, o.transport);
  return { kind: "reply", bytes, turns: Math.max(1, answers.length) };
}

function parse(query: Buffer): Packet | undefined {
  try {
    return decode(query);
  } catch {
    return undefined;
  }
}

/** Empty for a name that is there, but has nothing of what is asked for. */
function known({ name, type }: Question, lookups: Lookups, turn: number): Answer[] | undefined {
  if (type === "PTR") {
    const address = reversed(name);
    const data = address === undefined ? undefined : lookups.nameOf(address);
    return data === undefined ? undefined : [{ type: "PTR", name, ttl: ttlSeconds, class: "IN", data }];
  }
  const addresses = lookups.addresses(name, type === "AAAA" ? 6 : 4);
  if (addresses === undefined) return undefined;
  if (type !== "A" && type !== "AAAA") return [];
  const first = addresses.length === 0 ? 0 : turn % addresses.length;
  return [...addresses.slice(first), ...addresses.slice(0, first)].map((data) => ({
    type,
    name,
    ttl: ttlSeconds,
    class: "IN",
    data,
  }));
}

/** The address of `4.3.2.1.in-addr.arpa`, or of 32 digits in `ip6.arpa` (RFC 3596). */
function reversed(name: string): string | undefined {
  const digits = /^((?:[0-9a-f]\.){32})ip6\.arpa\.?$/i.exec(name)?.[1]?.replaceAll(".", "");
  if (digits !== undefined) return formatAddress(BigInt(`0x${digits.split("").reverse().join("")}`), 6);
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa\.?$/i.exec(name);
  return match === null ? undefined : match.slice(1).reverse().join(".");
}

/** As many answers as the asker takes; one who got fewer is told to ask again by TCP. */
function render(
  query: Packet,
  question: Question,
  answers: readonly Answer[],
  transport: "udp" | "tcp",
): Buffer {
  const extension = query.additionals?.find(({ type }) => type === "OPT");
  const offered = extension?.type === "OPT" ? extension.udpPayloadSize : plainBytesMax;
  const limit = transport === "tcp" ? 65535 : Math.max(plainBytesMax, offered);
  const reply = (kept: readonly Answer[]): Buffer =>
    encode({
      type: "response",
      id: query.id ?? 0,
      flags:
        ((query.flags ?? 0) & flag.recursionDesired) |
        flag.recursionAvailable |
        (kept.length < answers.length ? flag.truncated : 0),
      questions: [question],
      answers: [...kept],
      ...(extension !== undefined && { additionals: [ownExtension] }),
    });
  const whole = reply(answers);
  if (whole.length <= limit) return whole;
  const each = (whole.length - reply([]).length) / answers.length;
  return reply(answers.slice(0, Math.max(0, Math.floor((limit - reply([]).length) / each))));
}

const ownExtension: OptAnswer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: offeredBytes,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** Bytes of an answer that who asks takes by UDP. */
export function takenBytes(query: Buffer): number {
  const extension = parse(query)?.additionals?.find(({ type }) => type === "OPT");
  return Math.max(plainBytesMax, extension?.type === "OPT" ? extension.udpPayloadSize : 0);
}

/** The question back, with a code and nothing else. */
export function failure(query: Buffer, code: number): Buffer {
  const end = questionEnd(query);
  const reply = Buffer.from(query.subarray(0, end ?? headerBytes));
  const desired = query.readUInt16BE(2) & (flag.recursionDesired | opcodeMask);
  reply.writeUInt16BE(flag.response | desired | flag.recursionAvailable | code, 2);
  reply.writeUInt16BE(end === undefined ? 0 : 1, 4);
  reply.fill(0, 6, headerBytes);
  return reply;
}

/** Where the first question ends; undefined when there is none, or it is no plain one. */
export function questionEnd(message: Buffer): number | undefined {
  if (message.length < headerBytes || message.readUInt16BE(4) === 0) return undefined;
  for (let at = headerBytes; at < message.length; ) {
    const length = message[at] ?? 0;
    if (length > 63) return undefined;
    at += length + 1;
    if (length === 0) return at + 4 <= message.length ? at + 4 : undefined;
  }
  return undefined;
}

/** Whether `reply` answers this very question (RFC 5452: id and question are what a forger must guess). */
export function answers(query: Buffer, reply: Buffer): boolean {
  const [end, other] = [questionEnd(query), questionEnd(reply)];
  return (
    end !== undefined &&
    end === other &&
    reply.readUInt16BE(0) === query.readUInt16BE(0) &&
    (reply.readUInt16BE(2) & flag.response) !== 0 &&
    reply.toString("latin1", headerBytes, end).toLowerCase() ===
      query.toString("latin1", headerBytes, end).toLowerCase()
  );
}

export function rcodeOf(reply: Buffer): number {
  return reply.readUInt16BE(2) & 15;
}
