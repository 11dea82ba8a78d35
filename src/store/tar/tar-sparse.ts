/**
 * Pure. Where the stored bytes of a sparse file belong: GNU's old headers, and its three ways in extended headers.
 */
import { Fault } from "#spec/fault.ts";
import { type Extent, tarLimit } from "./tar-entry.ts";
import { number } from "./tar-header.ts";
import type { PaxRecords } from "./tar-pax.ts";

const damaged = "the archive is damaged: the map of a sparse file cannot be read";

/** Offset and length pairs of 12 bytes each, until one is empty. `complete` is false when another block follows. */
export function decodeOldMap(
  block: Buffer,
  first: "header" | "extension",
): { readonly extents: Extent[]; readonly complete: boolean } {
  const [start, count, more] = first === "header" ? [386, 4, 482] : [0, 21, 504];
  const extents: Extent[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    if (block[at] === 0 || block[at + 12] === 0) break;
    extents.push({ offset: number(block, [at, 12]), length: number(block, [at + 12, 12]) });
  }
  return { extents, complete: block[more] === 0 };
}

/** The real size of a file in a header of type S. */
export function oldRealSize(block: Buffer): number {
  return number(block, [483, 12]);
}

/** What an extended header says of a sparse file; `inBody` when the map is at the start of the stored bytes. */
export interface SparseHeader {
  readonly name: Buffer | undefined;
  readonly realSizeBytes: number;
  readonly extents: readonly Extent[];
  readonly inBody: boolean;
}

/** Undefined when the file is not sparse. @throws Fault `invalid`. */
export function sparseHeader(records: PaxRecords): SparseHeader | undefined {
  const last = (key: string) => records.findLast(([name]) => name === `GNU.sparse.${key}`)?.[1];
  const size = last("realsize") ?? last("size");
  if (size === undefined) return undefined;
  const shared = { name: last("name"), realSizeBytes: decimal(size.toString("latin1")) };
  if (last("major")?.toString() === "1") return { ...shared, extents: [], inBody: true };
  const map = last("map");
  const numbers =
    map === undefined
      ? records
          .filter(([key]) => key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes")
          .map(([, value]) => value.toString("latin1"))
      : map.toString("latin1").split(",").filter(Boolean);
  return { ...shared, extents: pairs(numbers.map(decimal)), inBody: false };
}

/** The map at the start of a file of format 1.0, block by block: decimal lines, filled up with zeros. */
export class BodyMap {
  #text = "";
  #lines = 0;
  #wanted: number | undefined;

  /** The extents once the map is whole. @throws Fault `invalid`. */
  push(block: Buffer): Extent[] | undefined {
    const text = block.toString("latin1");
    this.#text += text;
    this.#lines += text.split("\n").length - 1;
    if (this.#lines === 0) throw new Fault("invalid", damaged);
    if (this.#wanted === undefined) {
      const pairsWanted = decimal(this.#text.slice(0, this.#text.indexOf("\n")));
      if (pairsWanted > tarLimit.extents) throw tooMany();
      this.#wanted = pairsWanted * 2;
    }
    if (this.#lines < this.#wanted + 1) return undefined;
    const lines = this.#text.split("\n").slice(1, this.#wanted + 1);
    return pairs(lines.map(decimal));
  }
}

/** @throws Fault `invalid` for extents that overlap, are out of order, or leave the file. */
export function checkExtents(extents: readonly Extent[], realSizeBytes: number, storedBytes: number): void {
  if (extents.length > tarLimit.extents) throw tooMany();
  let [end, stored] = [0, 0];
  for (const { offset, length } of extents) {
    if (offset < end || length < 0) throw new Fault("invalid", damaged);
    end = offset + length;
    stored += length;
  }
  if (end > realSizeBytes || stored !== storedBytes || !Number.isSafeInteger(end))
    throw new Fault("invalid", damaged);
}

function pairs(numbers: readonly number[]): Extent[] {
  if (numbers.length % 2 !== 0) throw new Fault("invalid", damaged);
  const extents: Extent[] = [];
  for (let index = 0; index + 1 < numbers.length; index += 2)
    extents.push({ offset: numbers[index] ?? 0, length: numbers[index + 1] ?? 0 });
  return extents;
}

function decimal(text: string): number {
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw new Fault("invalid", damaged);
  return value;
}

function tooMany(): Fault {
  return new Fault("invalid", `a sparse file in the archive has more than ${tarLimit.extents} parts`);
}
