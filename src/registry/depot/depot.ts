/**
 * Where the registry server keeps everything: bytes by key. One contract for the file system and what may come beside it.
 * Promises of every driver: a key's bytes are seen whole or not at all; what `write`, `keep` and `move` did is durable
 * when they resolve; several processes may use one depot; bytes that are being read are not taken away by who removes their
 * key. Never: two meanings of one key. `depot-contract.ts` shows all of it for every driver.
 */

export interface DepotEntry {
  readonly sizeBytes: number;
  /** When it was written or touched last, milliseconds of the Unix epoch. */
  readonly touchedMs: number;
}

/** Keys are `a/b/c`; no part is empty, `.` or `..`. */
export interface Depot {
  stat(key: string): Promise<DepotEntry | undefined>;
  /** A small object's bytes. */
  read(key: string): Promise<Uint8Array | undefined>;
  /** Makes or replaces a small object. */
  write(key: string, bytes: Uint8Array | string): Promise<void>;
  /** Sets `touchedMs` to now. False: not there. */
  touch(key: string): Promise<boolean>;
  /** False: was not there. */
  remove(key: string): Promise<boolean>;
  /** False: `from` was not there. Replaces `to`. */
  move(from: string, to: string): Promise<boolean>;
  /** Names beneath a key in order of their bytes, those with something beneath them with a slash behind. */
  list(prefix: string): Promise<string[]>;
  /** What an answer sends: all of it, or from `start` to before `end`. Undefined: not there. */
  body(
    key: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Blob | ReadableStream<Uint8Array> | undefined>;
  /** An object that grows, alone: undefined while another request has it; `create`: empty, when missing. */
  grow(key: string, o?: { readonly create?: boolean }): Promise<Growing | undefined>;
  /** Takes what a crash left without a key, when it was written before that time. @returns How many things. */
  sweep(beforeMs: number, signal: AbortSignal): Promise<number>;
}

/** The caller closes it by disposing; what was appended is there for the next one, also after an error. */
export interface Growing extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Of exactly these bytes: whoever remembers something of them compares it. */
  readonly mark: string;
  append(bytes: Uint8Array): Promise<void>;
  /** Bytes that were appended, from `start` to before `end`; also after `keep`. */
  read(start: number, end: number): Promise<Uint8Array>;
  /** Gives the whole another name, durably. Replaces what has it. */
  keep(key: string): Promise<void>;
  /** Ends it: its key is gone. */
  discard(): Promise<void>;
}

/** @throws Error for what is no key. */
export function checkKey(key: string): void {
  if (key.split("/").some((part) => part === "" || part === "." || part === ".." || part.includes("\0")))
    throw new Error(`${JSON.stringify(key)} is no key`);
}
