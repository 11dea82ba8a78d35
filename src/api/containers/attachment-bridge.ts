/** Joins a hijacked connection with the streams of a container or an exec. */

import type { Attachment } from "#api/engine-face.ts";
import { DetachScanner } from "#api/http/detach-keys.ts";
import { muxFrame } from "#api/http/mux.ts";
import type { Sink } from "#api/http/outlet.ts";
import type { Hijacked } from "#api/http/reply.ts";
import { isFault } from "#spec/fault.ts";

export interface BridgeOptions {
  /** Bytes go out as they are; otherwise in frames that name their stream. */
  readonly raw: boolean;
  readonly detachKeys: readonly number[];
  /** What the end of the client's input means: close stdin, leave, or nothing. */
  readonly atInputEnd: "close-stdin" | "leave" | "nothing";
}

/**
 * Copies both ways, each at its own pace, until the process's output ends, the client is gone or asks to detach.
 * Detaches from the attachment in any case. Never throws for a client that left.
 */
export async function bridge(
  attachment: Attachment,
  connection: Pick<Hijacked, "input" | "output" | "gone">,
  options: BridgeOptions,
): Promise<void> {
  await using session = attachment;
  const left = Promise.withResolvers<void>();
  if (connection.gone.aborted) return;
  connection.gone.addEventListener("abort", () => left.resolve(), { once: true });
  const output = copyOutput(session, connection.output, options.raw).catch((thrown: unknown) => {
    if (!isFault(thrown, "cancelled")) throw thrown;
  });
  copyInput(session, connection.input, options).then(
    (leave) => leave && left.resolve(),
    () => undefined, // The process closed its stdin; its output goes on.
  );
  await Promise.race([output, left.promise]);
}

async function copyOutput(attachment: Attachment, sink: Sink, raw: boolean): Promise<void> {
  for await (const frame of attachment.output) {
    const wait = sink.write(raw ? frame.bytes : muxFrame(frame.stream, frame.bytes));
    if (wait !== undefined) await wait;
  }
}

/** True when the client wants to leave. */
async function copyInput(
  attachment: Attachment,
  source: AsyncIterable<Uint8Array>,
  options: BridgeOptions,
): Promise<boolean> {
  const { input, tty } = attachment;
  const scanner = new DetachScanner(options.detachKeys);
  for await (const chunk of source) {
    if (input === undefined) continue;
    const { pass, detached } = tty ? scanner.scan(chunk) : { pass: chunk, detached: false };
    if (pass.length > 0) await input.write(pass);
    if (detached) {
      attachment.detached();
      return true;
    }
  }
  if (input === undefined || options.atInputEnd === "nothing") return false;
  if (options.atInputEnd === "leave") return true;
  await input.end();
  return false;
}
