/**
 * nftables through libnftables (libnftables(3)), the library behind `nft`.
 * Promises: a batch takes effect as a whole or not at all. Never: a child process.
 */

import { CString, dlopen, FFIType, type Pointer } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { cString } from "#kernel/libc.ts";
import { Fault } from "#spec/fault.ts";

/** `NFT_CTX_OUTPUT_HANDLE`. */
const outputHandles = 1 << 3;

function open() {
  try {
    return dlopen("libnftables.so.1", {
      nft_ctx_new: { args: [FFIType.u32], returns: FFIType.ptr },
      nft_ctx_free: { args: [FFIType.ptr], returns: FFIType.void },
      nft_ctx_buffer_output: { args: [FFIType.ptr], returns: FFIType.i32 },
      nft_ctx_buffer_error: { args: [FFIType.ptr], returns: FFIType.i32 },
      nft_ctx_output_set_flags: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.void },
      nft_ctx_get_output_buffer: { args: [FFIType.ptr], returns: FFIType.ptr },
      nft_ctx_get_error_buffer: { args: [FFIType.ptr], returns: FFIType.ptr },
      nft_run_cmd_from_buffer: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
    }).symbols;
  } catch (cause) {
    throw new Fault("unavailable", "the nftables library is not there: install Debian's libnftables1", {
      cause,
    });
  }
}

let library: ReturnType<typeof open> | undefined;

/** Above this the library's `select` breaks the program off (select(2), FD_SETSIZE). */
const descriptorMax = 1024;
/** Low descriptors kept for the library, more than other threads open in the moment they are free. */
const spareCount = 16;
const spare: number[] = [];
// At once: later, an engine with many containers may have none left.
keepSpare();

function keepSpare(): void {
  while (spare.length < spareCount) {
    const fd = openSync("/dev/null", "r");
    if (fd >= descriptorMax) {
      closeSync(fd);
      return;
    }
    spare.push(fd);
  }
}

/** Runs `make` while low descriptors are free. @throws Fault `unavailable` when there are none. */
function withLowDescriptor<T>(make: () => T): T {
  for (const fd of spare.splice(0)) closeSync(fd);
  try {
    const lowest = openSync("/dev/null", "r");
    closeSync(lowest);
    if (lowest >= descriptorMax)
      throw new Fault(
        "unavailable",
        "all low file descriptors are in use, and nftables needs one: restart the engine",
      );
    return make();
  } finally {
    keepSpare();
  }
}

/**
 * Runs commands as `nft -f` would, in the network namespace of the calling thread. Each call sees the rules afresh.
 * @returns What they print. @throws Fault `internal` with the library's words; nothing took effect then.
 */
export function runNft(commands: string): string {
  using session = new NftSession();
  return session.run(commands);
}

/**
 * Every table, chain, set and rule as `nft -a list ruleset` writes them: with `# handle 7` behind.
 * Not as JSON: writing a table that has an owner so, libnftables 1.0.6 breaks its heap.
 */
export function listRulesets(): string {
  using session = new NftSession({ handles: true });
  return session.run("list ruleset");
}

/**
 * One program to the kernel, for as long as it lives, in the network namespace it was made in: tables that it makes with
 * `flags owner` (Linux 5.12) can be changed by it alone, outlive `nft flush ruleset`, and go when it is disposed of.
 */
export class NftSession implements Disposable {
  readonly #library: ReturnType<typeof open>;
  readonly #context: Pointer | bigint;
  #closed = false;

  constructor(o: { readonly handles?: boolean } = {}) {
    library ??= open();
    this.#library = library;
    const { nft_ctx_new } = library;
    const context = withLowDescriptor(() => nft_ctx_new(0));
    if (context === null) throw new Fault("unavailable", "this kernel has no nftables");
    this.#context = context;
    library.nft_ctx_buffer_output(context);
    library.nft_ctx_buffer_error(context);
    if (o.handles === true) library.nft_ctx_output_set_flags(context, outputHandles);
  }

  /** As `runNft`. */
  run(commands: string): string {
    const result = this.#library.nft_run_cmd_from_buffer(this.#context, cString(commands));
    // Also when nothing went wrong: looking empties the buffers.
    const said = textAt(this.#library.nft_ctx_get_error_buffer(this.#context));
    const output = textAt(this.#library.nft_ctx_get_output_buffer(this.#context));
    if (result !== 0) throw new Fault("internal", `nftables refused a change: ${said.split("\n", 1)[0]}`);
    return output;
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#closed) this.#library.nft_ctx_free(this.#context);
    this.#closed = true;
  }
}

function textAt(pointer: Pointer | bigint | null): string {
  return pointer === null ? "" : new CString(Number(pointer) as Pointer).toString();
}
