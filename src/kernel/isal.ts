/**
 * gzip by Intel's ISA-L (Debian's libisal2), where it is installed: several times as fast as zlib on one core.
 * Owns: the layout of the library's structures (`igzip_lib.h`; unchanged under its soname, and tried out before it is
 * believed). Promises: without the library, or with one that does not pass the trial, it says so and nothing else.
 * Never: keeps a pointer into a caller's memory beyond a call.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { Fault } from "#spec/fault.ts";
import { pinnedBuffer } from "./libc.ts";

const soname = "libisal.so.2";
/** Of one part of what is inflated. */
const partBytes = 256 << 10;
/** `sizeof(struct inflate_state)` is 87368, of `isal_zstream` 82384. */
const stateBytes = 128 << 10;

const inflateAt = { nextOut: 0, availOut: 8, nextIn: 16, availIn: 32, blockState: 21160, format: 21172 };
const deflateAt = {
  ...{ nextIn: 0, availIn: 8, nextOut: 16, availOut: 24, totalOut: 28 },
  ...{ level: 40, levelBufferBytes: 44, levelBuffer: 48, endOfStream: 56, format: 60 },
};
/** `ISAL_GZIP`, `IGZIP_GZIP`: header and checksum are the library's business. */
const gzipFormat = 1;
/** `ISAL_BLOCK_FINISH` */
const finished = 5;
/** A member's first byte. */
const gzipMagic = 0x1f;
const damaged = "the gzip data is damaged or cut off";

function open() {
  const [p, i32] = [FFIType.ptr, FFIType.i32];
  return dlopen(soname, {
    isal_inflate_init: { args: [p], returns: FFIType.void },
    isal_inflate_reset: { args: [p], returns: FFIType.void },
    isal_inflate: { args: [p], returns: i32 },
    isal_deflate_stateless_init: { args: [p], returns: FFIType.void },
    isal_deflate_stateless: { args: [p], returns: i32 },
  }).symbols;
}

type Library = ReturnType<typeof open>;
let found: Library | null | undefined;

/** The library, opened and tried when it is first asked for; null without one. */
function library(): Library | null {
  if (found !== undefined) return found;
  try {
    found = open();
    if (!passesTrial()) found = null;
  } catch {
    found = null;
  }
  return found;
}

/** Whether `Inflation` and `GzipPacker` may be used. */
export function hasFastGzip(): boolean {
  return library() !== null;
}

function needed(): Library {
  const opened = library();
  if (opened === null) throw new Fault("internal", `${soname} was asked for, but is not there`);
  return opened;
}

/** What this file believes of the library's structures, on a few bytes: there and back, damage seen, the end seen. */
function passesTrial(): boolean {
  const plain = Buffer.from("wherry ".repeat(100));
  const member = new GzipPacker(plain.length).pack(plain);
  const packed = Buffer.concat([member, member]);
  const inflate = (bytes: Buffer) => {
    const inflation = new Inflation();
    const parts = [...inflation.push(bytes)].map((part) => Buffer.from(part));
    return { bytes: Buffer.concat(parts), complete: inflation.complete };
  };
  const back = inflate(packed);
  if (!back.complete || !back.bytes.equals(Buffer.concat([plain, plain]))) return false;
  if (inflate(packed.subarray(0, -1)).complete) return false;
  packed[packed.length - 8] = (packed[packed.length - 8] ?? 0) ^ 1;
  try {
    inflate(packed);
    return false;
  } catch {
    return true;
  }
}

function write64(state: DataView, at: number, address: number): void {
  state.setBigUint64(at, BigInt(address), true);
}

/** One gzip stream of any number of members (RFC 1952) on its way to plain bytes. */
export class Inflation {
  readonly #library = needed();
  readonly #state = pinnedBuffer(stateBytes);
  readonly #view = new DataView(this.#state.buffer);
  readonly #out = pinnedBuffer(partBytes);
  #ended = false;

  constructor() {
    this.#library.isal_inflate_init(ptr(this.#state));
    this.#view.setUint32(inflateAt.format, gzipFormat, true);
  }

  /** True at the end of a member, where the stream may end. */
  get complete(): boolean {
    return this.#ended;
  }

  /** The plain bytes, in parts that are lent until the next one. @throws Fault `invalid` for damaged data. */
  *push(bytes: Uint8Array): Generator<Buffer> {
    for (let [left, madeBytes] = [bytes.length, 0]; left > 0 || madeBytes === partBytes; ) {
      if (this.#ended && (left === 0 || !this.#begin(bytes, bytes.length - left))) return;
      const done = this.#step(bytes, left);
      if (done.result < 0) throw new Fault("invalid", damaged);
      ({ left, madeBytes } = done);
      this.#ended = this.#view.getInt32(inflateAt.blockState, true) === finished;
      // A full part may not have been all, although nothing more goes in.
      if (madeBytes > 0) yield this.#out.subarray(0, madeBytes);
    }
  }

  #step(bytes: Uint8Array, left: number): { result: number; left: number; madeBytes: number } {
    const view = this.#view;
    write64(view, inflateAt.nextIn, left === 0 ? 0 : ptr(bytes) + bytes.length - left);
    view.setUint32(inflateAt.availIn, left, true);
    write64(view, inflateAt.nextOut, ptr(this.#out));
    view.setUint32(inflateAt.availOut, partBytes, true);
    const result = Number(this.#library.isal_inflate(ptr(this.#state)));
    return {
      result,
      left: view.getUint32(inflateAt.availIn, true),
      madeBytes: partBytes - view.getUint32(inflateAt.availOut, true),
    };
  }

  /** The next member; false when the rest is filled up with zeros, as some programs do. */
  #begin(bytes: Uint8Array, at: number): boolean {
    if (bytes[at] === 0) {
      if (bytes.subarray(at).every((byte) => byte === 0)) return false;
      throw new Fault("invalid", damaged);
    }
    if (bytes[at] !== gzipMagic) throw new Fault("invalid", damaged);
    this.#library.isal_inflate_reset(ptr(this.#state));
    this.#view.setUint32(inflateAt.format, gzipFormat, true);
    this.#ended = false;
    return true;
  }
}

/** `ISAL_DEF_LVL1_DEFAULT`: what level 1 wants to work in. */
const levelBufferBytes = 282_624;
const level = 1;
/** What a member can be larger than its content: stored blocks and the frame. */
const overheadBytes = 64 << 10;

/** Makes gzip members (RFC 1952) of blocks of at most so many bytes. */
export class GzipPacker {
  readonly #library = needed();
  readonly #state = pinnedBuffer(stateBytes);
  readonly #view = new DataView(this.#state.buffer);
  readonly #levelBuffer = pinnedBuffer(levelBufferBytes);
  readonly #out: Buffer;

  constructor(blockBytes: number) {
    this.#out = pinnedBuffer(blockBytes + overheadBytes);
  }

  /** One member with all of `block`, lent until the next. Equal blocks give equal members. */
  pack(block: Uint8Array): Buffer {
    const [state, view] = [this.#state, this.#view];
    this.#library.isal_deflate_stateless_init(ptr(state));
    view.setUint32(deflateAt.level, level, true);
    view.setUint32(deflateAt.levelBufferBytes, levelBufferBytes, true);
    write64(view, deflateAt.levelBuffer, ptr(this.#levelBuffer));
    view.setUint16(deflateAt.endOfStream, 1, true);
    view.setUint16(deflateAt.format, gzipFormat, true);
    write64(view, deflateAt.nextIn, block.length === 0 ? 0 : ptr(block));
    view.setUint32(deflateAt.availIn, block.length, true);
    write64(view, deflateAt.nextOut, ptr(this.#out));
    view.setUint32(deflateAt.availOut, this.#out.length, true);
    const result = this.#library.isal_deflate_stateless(ptr(state));
    if (result !== 0) throw new Fault("internal", `compressing failed with ${result}`);
    return this.#out.subarray(0, view.getUint32(deflateAt.totalOut, true));
  }
}
