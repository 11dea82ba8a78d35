/**
 * Pure. What stands at a key of the depot in S3: a line of JSON, then the bytes themselves when they came at once. Bytes that
 * grew are elsewhere, in parts that are written once and never again: to touch, rename or keep a large object costs one
 * small request, and two who write to one upload cannot mix their bytes.
 */
import * as v from "valibot";
import { Fault } from "#spec/fault.ts";

const partSchema = v.object({ key: v.string(), sizeBytes: v.number() });
const headSchema = v.object({
  sizeBytes: v.number(),
  touchedMs: v.number(),
  /** Another one at each writing of something that grows. */
  version: v.optional(v.string()),
  /** Absent: the bytes follow. */
  parts: v.optional(v.array(partSchema)),
});

export type S3Part = v.InferOutput<typeof partSchema>;
export type S3Head = v.InferOutput<typeof headSchema>;
export interface S3Record {
  readonly head: S3Head;
  readonly bytes: Uint8Array;
}

const lineEnd = 10;

export function encodeRecord(head: S3Head, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);
}

/** Undefined: the head goes on behind these bytes. @throws Fault `internal` for what this depot did not write. */
export function decodeRecord(bytes: Uint8Array, key: string): S3Record | undefined {
  const end = bytes.indexOf(lineEnd);
  if (end < 0) return undefined;
  try {
    const head = v.parse(headSchema, JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))));
    return { head, bytes: bytes.subarray(end + 1) };
  } catch (cause) {
    throw new Fault(
      "internal",
      `the object ${key} was not written by this registry: give it a prefix of its own`,
      {
        cause,
      },
    );
  }
}

/** A range of one part. */
export interface S3Piece {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** What to fetch, in order, for the bytes from `start` to before `end`, at most `pieceBytes` each. */
export function piecesOf(
  parts: readonly S3Part[],
  o: { readonly start: number; readonly end: number; readonly pieceBytes: number },
): S3Piece[] {
  const pieces: S3Piece[] = [];
  let before = 0;
  for (const { key, sizeBytes } of parts) {
    const last = Math.min(sizeBytes, o.end - before);
    for (let at = Math.max(0, o.start - before); at < last; at += o.pieceBytes)
      pieces.push({ key, start: at, end: Math.min(last, at + o.pieceBytes) });
    before += sizeBytes;
  }
  return pieces;
}
