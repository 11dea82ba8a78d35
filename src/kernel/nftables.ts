/**
 * nftables through libnftables (libnftables(3)), the library behind `nft`.
 * Promises: a batch takes effect as a whole or not at all. Never: a child process.
 */
import { CString, dlopen, FFIType, type Pointer } from "bun:ffi";
import { Fault } from "#spec/fault.ts";
import { cString } from "./libc.ts";

function open() {
  try {
    return dlopen("libnftables.so.1", {
      nft_ctx_new: { args: [FFIType.u32], returns: FFIType.ptr },
      nft_ctx_free: { args: [FFIType.ptr], returns: FFIType.void },
      nft_ctx_buffer_output: { args: [FFIType.ptr], returns: FFIType.i32 },
      nft_ctx_buffer_error: { args: [FFIType.ptr], returns: FFIType.i32 },
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

/**
 * Runs commands as `nft -f` would, in the network namespace of the calling thread. Each call sees the rules afresh.
 * @returns What they print. @throws Fault `internal` with the library's words; nothing took effect then.
 */
export function runNft(commands: string): string {
  library ??= open();
  const context = library.nft_ctx_new(0);
  if (context === null) throw new Fault("unavailable", "this kernel has no nftables");
  try {
    library.nft_ctx_buffer_output(context);
    library.nft_ctx_buffer_error(context);
    const result = library.nft_run_cmd_from_buffer(context, cString(commands));
    if (result !== 0) {
      const reason = textAt(library.nft_ctx_get_error_buffer(context)).split("\n", 1)[0];
      throw new Fault("internal", `nftables refused a change: ${reason}`);
    }
    return textAt(library.nft_ctx_get_output_buffer(context));
  } finally {
    library.nft_ctx_free(context);
  }
}

function textAt(pointer: Pointer | bigint | null): string {
  return pointer === null ? "" : new CString(Number(pointer) as Pointer).toString();
}
