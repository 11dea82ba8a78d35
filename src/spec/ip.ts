/** Pure. Addresses of both families (RFC 791, RFC 4291) and subnets of them, as text and as numbers. */
import { Fault } from "./fault.ts";

export type Family = 4 | 6;
export const families: readonly Family[] = [4, 6];

export interface Subnet {
  readonly address: string;
  readonly prefixLength: number;
}

/** Of text that is an address, or a subnet. */
export function familyOf(text: string): Family {
  return text.includes(":") ? 6 : 4;
}

/** The address that stands for all of its family. */
export const anywhere: Readonly<Record<Family, string>> = { 4: "0.0.0.0", 6: "::" };

export function isAnywhere(address: string): boolean {
  return address === anywhere[familyOf(address)];
}

/** As it stands before a port. */
export function bracketed(address: string): string {
  return familyOf(address) === 6 ? `[${address}]` : address;
}

/** Bits of an address. */
export function widthOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** Undefined for what is no address. Zones are none. */
export function parseAddress(text: string): bigint | undefined {
  return familyOf(text) === 4 ? parse4(text) : parse6(text);
}

function parse4(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const parts = match?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return BigInt(parts.reduce((value, part) => value * 256 + part, 0));
}

const groupsOf6 = 8;

function parse6(text: string): bigint | undefined {
  const [before = "", after, ...more] = text.split("::");
  const [head, tail] = [groups(before), groups(after ?? "")];
  if (head === undefined || tail === undefined || more.length > 0) return undefined;
  const zeros = groupsOf6 - head.length - tail.length;
  if (after === undefined ? zeros !== 0 : zeros < 1) return undefined;
  const all = [...head, ...Array<number>(zeros).fill(0), ...tail];
  return all.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** Of one side of a `::`; the last two may be written as an IPv4 address. */
function groups(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const quad = parts.at(-1)?.includes(".") === true ? parse4(parts.pop() ?? "") : -1n;
  if (quad === undefined || parts.some((part) => !/^[0-9a-f]{1,4}$/i.test(part))) return undefined;
  const values = parts.map((part) => Number.parseInt(part, 16));
  return quad < 0n ? values : [...values, Number(quad >> 16n), Number(quad & 0xffffn)];
}

/** IPv6 as RFC 5952 wants it. */
export function formatAddress(value: bigint, family: Family): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const parts = Array.from({ length: groupsOf6 }, (_, index) =>
    Number((value >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  const { at, length } = longestZeros(parts);
  const hex = (part: readonly number[]) => part.map((each) => each.toString(16)).join(":");
  return length < 2 ? hex(parts) : `${hex(parts.slice(0, at))}::${hex(parts.slice(at + length))}`;
}

function longestZeros(parts: readonly number[]): { at: number; length: number } {
  let best = { at: 0, length: 0 };
  for (let at = 0; at < parts.length; at++) {
    let length = 0;
    while (parts[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  return best;
}

/** One text for each address; what is none stays as it is. */
export function canonicalAddress(text: string): string {
  const value = parseAddress(text);
  return value === undefined ? text : formatAddress(value, familyOf(text));
}

/** In network order. */
export function addressBytes(text: string): Uint8Array {
  const family = familyOf(text);
  const value = parseAddress(text) ?? 0n;
  const length = widthOf(family) / 8;
  return Uint8Array.from({ length }, (_, index) =>
    Number((value >> BigInt(8 * (length - 1 - index))) & 255n),
  );
}

/** Four bytes or sixteen. */
export function addressOf(bytes: Uint8Array): string {
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return formatAddress(value, bytes.length === 4 ? 4 : 6);
}

/** `10.0.0.1/24`, the host part kept. @throws Fault `invalid`. */
export function parseSubnet(text: string): Subnet {
  const [address = "", length = "", ...more] = text.split("/");
  const prefixLength = Number(length);
  const valid = parseAddress(address) !== undefined && /^\d{1,3}$/.test(length) && more.length === 0;
  if (!valid || prefixLength > widthOf(familyOf(address)))
    throw new Fault("invalid", `invalid CIDR address: ${text}`);
  return { address, prefixLength };
}

export function formatSubnet({ address, prefixLength }: Subnet): string {
  return `${address}/${prefixLength}`;
}

export function rangeOf({ address, prefixLength }: Subnet): [first: bigint, last: bigint] {
  const size = 1n << BigInt(widthOf(familyOf(address)) - prefixLength);
  const value = parseAddress(address) ?? 0n;
  const first = value - (value % size);
  return [first, first + size - 1n];
}

/** With the host part zero. */
export function networkOf(subnet: Subnet): Subnet {
  const address = formatAddress(rangeOf(subnet)[0], familyOf(subnet.address));
  return { address, prefixLength: subnet.prefixLength };
}

/** Never across families. */
export function overlap(one: Subnet, other: Subnet): boolean {
  if (familyOf(one.address) !== familyOf(other.address)) return false;
  const [firstOfOne, lastOfOne] = rangeOf(one);
  const [firstOfOther, lastOfOther] = rangeOf(other);
  return firstOfOne <= lastOfOther && firstOfOther <= lastOfOne;
}

export function contains(subnet: Subnet, address: string): boolean {
  return overlap(subnet, { address, prefixLength: widthOf(familyOf(address)) });
}
