/** Answers that tell how a long piece of work goes, one JSON object a line. */
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { progressBar } from "#spec/progress-bar.ts";
import { type Reply, streamReply } from "./reply.ts";

/** Lines a slow client is behind before news of mere progress are left out. */
const behindMax = 1000;

/**
 * Runs `work`. What it throws before it told anything becomes the status; later, it is a line of the stream.
 * `quiet`: nothing is sent but the end.
 */
export async function progressReply(
  work: (tell: (message: JsonMessage) => void) => Promise<void>,
  o: { readonly contentType?: string } = {},
): Promise<Reply> {
  const lines: JsonMessage[] = [];
  let wake = Promise.withResolvers<void>();
  let failure: Fault | undefined;
  let ended = false;
  const told = Promise.withResolvers<void>();
  const running = work((message) => {
    if (lines.length > behindMax && message.progressDetail?.current !== undefined) return;
    lines.push(message);
    told.resolve();
    wake.resolve();
  })
    .catch((thrown: unknown) => {
      failure = Fault.from(thrown);
    })
    .finally(() => {
      ended = true;
      told.resolve();
      wake.resolve();
    });
  await told.promise;
  if (lines.length === 0 && failure !== undefined) throw failure;
  return streamReply(o.contentType ?? "application/json", async (sink) => {
    for (;;) {
      for (const line of lines.splice(0)) {
        const pace = sink.write(encode(line));
        if (pace !== undefined) await pace;
      }
      if (lines.length > 0) continue;
      if (ended) break;
      await wake.promise;
      wake = Promise.withResolvers();
    }
    await running;
    if (failure === undefined) return;
    const { message } = failure;
    sink.write(encode({ errorDetail: { message }, error: message }));
  });
}

function encode(message: JsonMessage): Uint8Array {
  const { status, progressDetail, id, ...rest } = message;
  const { current, total } = progressDetail ?? {};
  const ordered = {
    ...(status !== undefined && { status }),
    ...(progressDetail !== undefined && { progressDetail }),
    ...(current !== undefined && total !== undefined && { progress: progressBar(current, total) }),
    ...(id !== undefined && { id }),
    ...rest,
  };
  return Buffer.from(`${JSON.stringify(ordered)}\r\n`);
}
