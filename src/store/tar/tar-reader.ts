/**
 * Pure. Reads tar archives: bytes in as they come, entries and their content out, nothing kept but one header.
 * Owns: where in the archive it is. Promises: every byte of the archive is handed on exactly once, either as `content`
 * of a file that was wanted or as `structure`, in the archive's order; a cut-off archive is an error.
 * Never: waits, or believes a name; who unpacks does the checks.
 */
import type { BytePath } from "#kernel/files/byte-path.ts";
import { bytePathOf } from "#kernel/files/byte-path.ts";
import { Fault } from "#spec/fault.ts";
import { blockBytes, type Extent, type TarEntry, type TarKind, tarLimit } from "./tar-entry.ts";
import { decodeHeader, type TarHeader } from "./tar-header.ts";
import { decodePax, type PaxRecords, parsePaxNumber, parsePaxTime, xattrsOf } from "./tar-pax.ts";
import {
  BodyMap,
  checkExtents,
  decodeOldMap,
  oldRealSize,
  type SparseHeader,
  sparseHeader,
} from "./tar-sparse.ts";

/** Buffers are only lent: copy what is kept. */
export interface TarSink {
  /** Bytes that are no wanted content: headers, padding, the end, whatever follows it. */
  structure?(bytes: Buffer): void;
  /** The next file. False when its content is of no use; then it comes as structure, and `endEntry` still follows. */
  entry(entry: TarEntry): boolean;
  /** A part of the wanted content and where in the file it belongs; parts come in order. */
  content(bytes: Buffer, offset: number): void;
  /** The content was all. */
  endEntry(): void;
}

const kinds: Readonly<Record<string, TarKind>> = {
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  S: "file",
  D: "directory",
};
/** Types that say something about the next entry. */
const metaTypes = "xXgLK";
const longNameBytesMax = tarLimit.nameBytes + 1 + blockBytes;

type State = "header" | "meta" | "old-map" | "body-map" | "content" | "padding" | "end";

export class TarReader {
  readonly #sink: TarSink;
  #state: State = "header";
  /** A block that came in parts. */
  readonly #block = Buffer.alloc(blockBytes);
  #filled = 0;
  #bytes = 0;
  #zeroBlocks = 0;
  #entries = 0;
  /** Of the body of the current entry: still to come, and zeros after it. */
  #left = 0;
  #padding = 0;
  #metaType = "";
  #meta: Buffer[] = [];
  #global: PaxRecords = [];
  #pax: PaxRecords = [];
  #longName: BytePath | undefined;
  #longLink: BytePath | undefined;
  #header: TarHeader | undefined;
  #sparse: SparseHeader | undefined;
  #bodyMap = new BodyMap();
  #realSize = 0;
  #extents: Extent[] | undefined;
  #extent = 0;
  /** Where the next stored byte belongs. */
  #offset = 0;
  #wanted = false;
  #name = "" as BytePath;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** @throws Fault `invalid` for what is no tar, `unsupported` for what no container image has. */
  push(bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bytes += buffer.length;
    for (let at = 0; at < buffer.length; ) at += this.#step(buffer, at);
  }

  /**
   * Says that no more comes. @throws Fault `invalid` when the archive is cut off. Many programs forget the blocks of
   * zeros at the end; `endRequired` insists on them.
   */
  finish(o: { readonly endRequired?: boolean } = {}): void {
    if (this.#bytes === 0) throw new Fault("invalid", "the archive is empty: not one byte came");
    const pending = this.#pax.length > 0 || this.#longName !== undefined || this.#longLink !== undefined;
    const between = this.#state === "end" || (this.#state === "header" && this.#filled === 0 && !pending);
    if (between && !(o.endRequired === true && this.#zeroBlocks === 0)) return;
    const where = this.#name === "" ? "" : ` at ${Buffer.from(this.#name, "latin1").toString("utf8")}`;
    throw new Fault("invalid", `the archive is cut off${where}: send it again`);
  }

  /** Takes some of `buffer` from `at` on and says how much. */
  #step(buffer: Buffer, at: number): number {
    switch (this.#state) {
      case "header":
      case "old-map":
      case "body-map":
        return this.#gather(buffer, at);
      case "meta":
        return this.#takeMeta(buffer, at);
      case "content":
        return this.#takeContent(buffer, at);
      case "padding": {
        const taken = buffer.subarray(at, at + this.#padding);
        this.#sink.structure?.(taken);
        this.#padding -= taken.length;
        if (this.#padding === 0) this.#state = "header";
        return taken.length;
      }
      case "end":
        this.#sink.structure?.(buffer.subarray(at));
        return buffer.length - at;
    }
  }

  /** Waits for a whole block. */
  #gather(buffer: Buffer, at: number): number {
    const taken = buffer.subarray(at, at + blockBytes - this.#filled);
    this.#sink.structure?.(taken);
    if (taken.length === blockBytes) {
      this.#take(taken);
      return blockBytes;
    }
    taken.copy(this.#block, this.#filled);
    this.#filled += taken.length;
    if (this.#filled === blockBytes) {
      this.#filled = 0;
      this.#take(this.#block);
    }
    return taken.length;
  }

  #take(block: Buffer): void {
    if (this.#state === "header") this.#takeHeader(block);
    else if (this.#state === "old-map") {
      const { extents, complete } = decodeOldMap(block, "extension");
      this.#extents?.push(...extents);
      if ((this.#extents?.length ?? 0) > tarLimit.extents) checkExtents(this.#extents ?? [], 0, 0);
      if (complete) this.#begin();
    } else {
      this.#left -= blockBytes;
      if (this.#left < 0) throw damagedSparse();
      this.#extents = this.#bodyMap.push(block);
      if (this.#extents !== undefined) this.#begin();
    }
  }

  #takeHeader(block: Buffer): void {
    const header = decodeHeader(block);
    if (header === undefined) {
      if (++this.#zeroBlocks === 2) this.#state = "end";
      return;
    }
    if (this.#zeroBlocks > 0)
      throw new Fault("invalid", "the archive is damaged: a block of zeros is among the files");
    this.#left = header.sizeBytes;
    if (header.sizeBytes < 0) throw new Fault("invalid", "the archive is damaged: a file's size is negative");
    if (metaTypes.includes(header.type)) {
      this.#metaType = header.type;
      const limit = "LK".includes(header.type) ? longNameBytesMax : tarLimit.paxBytes;
      if (header.sizeBytes > limit)
        throw new Fault("invalid", `a name or extended header in the archive has more than ${limit} bytes`);
      this.#setPadding();
      this.#meta = [];
      this.#state = "meta";
      if (this.#left === 0) this.#endMeta();
      return;
    }
    this.#takeEntryHeader(header, block);
  }

  #setPadding(): void {
    this.#padding = (blockBytes - (this.#left % blockBytes)) % blockBytes;
  }

  #takeMeta(buffer: Buffer, at: number): number {
    const taken = buffer.subarray(at, at + this.#left);
    this.#sink.structure?.(taken);
    this.#meta.push(Buffer.from(taken));
    this.#left -= taken.length;
    if (this.#left === 0) this.#endMeta();
    return taken.length;
  }

  #endMeta(): void {
    const body = Buffer.concat(this.#meta);
    this.#meta = [];
    this.#state = this.#padding > 0 ? "padding" : "header";
    if (this.#metaType === "L") this.#longName = untilNul(body);
    else if (this.#metaType === "K") this.#longLink = untilNul(body);
    else if (this.#metaType === "g") {
      const merged = new Map([...this.#global, ...decodePax(body)]);
      const size = merged.values().reduce((sum, value) => sum + value.length, 0);
      if (size > tarLimit.paxBytes) throw new Fault("invalid", "the archive's global headers are too large");
      this.#global = [...merged];
    } else this.#pax = decodePax(body);
  }

  #takeEntryHeader(header: TarHeader, block: Buffer): void {
    if (++this.#entries > tarLimit.entries)
      throw new Fault("invalid", `the archive has more than ${tarLimit.entries} entries`);
    if (this.#global.length > 0) this.#pax = [...this.#global, ...this.#pax];
    this.#header = header;
    const size = lastOf(this.#pax, "size");
    if (size !== undefined) this.#left = parsePaxNumber(size);
    if (this.#left < 0) throw new Fault("invalid", "the archive is damaged: a file's size is negative");
    if ("123456".includes(header.type) || (header.type === "0" && this.#entryName(header).endsWith("/")))
      this.#left = 0;
    this.#setPadding();
    this.#sparse = sparseHeader(this.#pax);
    this.#realSize = this.#sparse?.realSizeBytes ?? this.#left;
    this.#extents = this.#sparse === undefined ? undefined : [...this.#sparse.extents];
    if (this.#sparse?.inBody === true) {
      this.#bodyMap = new BodyMap();
      this.#state = "body-map";
    } else if (header.type === "S") {
      const map = decodeOldMap(block, "header");
      this.#realSize = oldRealSize(block);
      this.#extents = map.extents;
      if (map.complete) this.#begin();
      else this.#state = "old-map";
    } else this.#begin();
  }

  #entryName(header: TarHeader): BytePath {
    const path = this.#sparse?.name ?? lastOf(this.#pax, "path");
    return path === undefined ? (this.#longName ?? header.name) : pathOf(path);
  }

  /** The header is complete: hands the entry on. */
  #begin(): void {
    const header = this.#header;
    if (header === undefined) throw new Fault("internal", "an entry of an archive without a header");
    if (this.#extents !== undefined) {
      checkExtents(this.#extents, this.#realSize, this.#left);
      this.#extents = this.#extents.filter(({ length }) => length > 0);
    }
    const entry = header.type === "V" ? undefined : this.#entryOf(header);
    this.#pax = [];
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#sparse = undefined;
    this.#extent = 0;
    this.#offset = this.#extents?.[0]?.offset ?? 0;
    this.#name = entry?.name ?? this.#name;
    this.#wanted = entry !== undefined && this.#sink.entry(entry) && entry.kind === "file";
    this.#state = "content";
    if (this.#left === 0) this.#endContent(entry !== undefined);
  }

  #entryOf(header: TarHeader): TarEntry {
    const kind = kinds[header.type];
    const name = this.#entryName(header);
    if (kind === undefined)
      throw new Fault(
        "unsupported",
        `${name} in the archive has the type ${JSON.stringify(header.type)}, which is no file a container can have`,
      );
    const pax = this.#pax;
    const linkPath = lastOf(pax, "linkpath");
    const linkName = linkPath === undefined ? (this.#longLink ?? header.linkName) : pathOf(linkPath);
    if (name.length > tarLimit.nameBytes || linkName.length > tarLimit.nameBytes)
      throw new Fault("invalid", `a name in the archive has more than ${tarLimit.nameBytes} bytes`);
    const [uid, gid, mtime] = [lastOf(pax, "uid"), lastOf(pax, "gid"), lastOf(pax, "mtime")];
    return {
      kind: kind === "file" && header.type === "0" && name.endsWith("/") ? "directory" : kind,
      name,
      linkName,
      mode: header.mode,
      uid: uid === undefined ? header.uid : parsePaxNumber(uid),
      gid: gid === undefined ? header.gid : parsePaxNumber(gid),
      sizeBytes: kind === "file" ? this.#realSize : 0,
      mtimeNano: mtime === undefined ? BigInt(header.mtimeSeconds) * 1_000_000_000n : parsePaxTime(mtime),
      major: header.major,
      minor: header.minor,
      xattrs: pax.length === 0 ? noXattrs : xattrsOf(pax),
      ...(this.#extents !== undefined && { extents: this.#extents }),
    };
  }

  #takeContent(buffer: Buffer, at: number): number {
    const extent = this.#extents?.[this.#extent];
    const here = extent === undefined ? this.#left : extent.offset + extent.length - this.#offset;
    const taken = buffer.subarray(at, at + Math.min(here, this.#left));
    if (this.#wanted) this.#sink.content(taken, this.#offset);
    else this.#sink.structure?.(taken);
    this.#offset += taken.length;
    this.#left -= taken.length;
    if (extent !== undefined && taken.length === here)
      this.#offset = this.#extents?.[++this.#extent]?.offset ?? this.#offset;
    if (this.#left === 0) this.#endContent(true);
    return taken.length;
  }

  #endContent(isEntry: boolean): void {
    this.#state = this.#padding > 0 ? "padding" : "header";
    if (isEntry) this.#sink.endEntry();
  }
}

const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

function lastOf(records: PaxRecords, key: string): Buffer | undefined {
  const value = records.findLast(([name]) => name === key)?.[1];
  // An empty value takes the key back.
  return value === undefined || value.length === 0 ? undefined : value;
}

function pathOf(value: Buffer): BytePath {
  if (value.includes(0)) throw new Fault("invalid", "a name in the archive holds a NUL byte");
  return bytePathOf(value);
}

function untilNul(body: Buffer): BytePath {
  const nul = body.indexOf(0);
  return bytePathOf(nul < 0 ? body : body.subarray(0, nul));
}

function damagedSparse(): Fault {
  return new Fault("invalid", "the archive is damaged: the map of a sparse file cannot be read");
}
