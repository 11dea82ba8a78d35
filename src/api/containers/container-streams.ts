/** Containers: what waits or streams (wait, logs, resize). */

import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, integer, moment, param, text } from "#api/http/api-request.ts";
import { muxFrame } from "#api/http/mux.ts";
import type { Sink } from "#api/http/outlet.ts";
import {
  emptyReply,
  jsonReply,
  multiplexedStream,
  type Reply,
  rawStream,
  streamReply,
} from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import type { WaitAnswer } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { formatRfc3339 } from "#spec/unix-time.ts";
import { detailsText } from "#telemetry/log-attributes.ts";

export function containerStreamRoutes(parts: ApiParts): Route[] {
  return [
    route("POST", "/containers/{name}/wait", (request) => wait(parts, request)),
    route("GET", "/containers/{name}/logs", (request) => logs(parts, request)),
    route("POST", "/containers/{name}/resize", async (request) => {
      await parts.engine.containers.resize(param(request, "name"), consoleSize(request));
      return emptyReply(200);
    }),
  ];
}

const waitConditions = ["not-running", "next-exit", "removed"] as const;

/** Since 1.30 the head goes out at once: the client starts the container only when it knows that the wait stands. */
async function wait({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const given = request.version < 30 ? undefined : text(request, "condition");
  const condition = waitConditions.find((known) => known === (given ?? "not-running"));
  if (condition === undefined) throw new Fault("invalid", `invalid condition: ${JSON.stringify(given)}`);
  const { exit } = engine.containers.wait(param(request, "name"), condition, { signal: request.signal });
  if (request.version < 30) {
    const { exitCode } = await exit;
    return jsonReply({ StatusCode: exitCode });
  }
  const ended = exit.then(
    waitAnswer,
    (thrown: unknown): WaitAnswer => ({ StatusCode: -1, Error: { Message: Fault.from(thrown).message } }),
  );
  return streamReply("application/json", async (sink) => {
    const answer = await ended;
    request.signal.throwIfAborted();
    if (answer.Error !== undefined && condition === "removed" && request.version < 34) return;
    sink.write(Buffer.from(`${JSON.stringify(answer)}\n`));
  });
}

function waitAnswer({ exitCode, error }: { exitCode: number; error?: string | undefined }): WaitAnswer {
  return { StatusCode: exitCode, ...(error !== undefined && error !== "" && { Error: { Message: error } }) };
}

async function logs({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const stdout = flag(request, "stdout");
  const stderr = flag(request, "stderr");
  if (!stdout && !stderr) throw new Fault("invalid", "Bad parameters: you must choose at least one stream");
  const since = moment(request, "since");
  const until = moment(request, "until");
  const record = engine.containers.get(param(request, "name"));
  const tty = record.config.Tty === true;
  const [timestamps, details] = [flag(request, "timestamps"), flag(request, "details")];
  const joined = timestamps || details ? undefined : tty ? "plain" : "multiplexed";
  const lines = engine.containers.logs(record.id, {
    stdout,
    stderr,
    since,
    until,
    follow: flag(request, "follow"),
    tail: tailLines(text(request, "tail")),
    joined,
    signal: request.signal,
  });
  const type = streamType(tty, request.version);
  if (joined !== undefined) return streamReply(type, (sink) => writeParts(lines, sink));
  const format = { timestamps, details: details ? `${detailsText(record)} ` : "", tty };
  return streamReply(type, (sink) => writeLogs(lines, sink, format));
}

/** `all`, nothing and what is no number mean every line. */
function tailLines(tail: string | undefined): number | undefined {
  return tail !== undefined && /^[0-9]+$/.test(tail) ? Number(tail) : undefined;
}

async function writeParts(parts: AsyncIterable<{ bytes: Uint8Array }>, sink: Sink): Promise<void> {
  for await (const { bytes } of parts) {
    const pace = sink.write(bytes);
    if (pace !== undefined) await pace;
  }
}

const newline = 0x0a;

/** Time and details stand in front of lines; a line that came in parts has them once. */
async function writeLogs(
  lines: AsyncIterable<{ stream: "stdout" | "stderr"; timeNano: bigint; bytes: Uint8Array }>,
  sink: Sink,
  format: { timestamps: boolean; details: string; tty: boolean },
): Promise<void> {
  const midLine = { stdout: false, stderr: false };
  for await (const { stream, timeNano, bytes } of lines) {
    const time = format.timestamps ? `${formatRfc3339(timeNano)} ` : "";
    const prefix = midLine[stream] ? "" : time + format.details;
    midLine[stream] = bytes.at(-1) !== newline;
    if (format.tty && prefix !== "") sink.write(Buffer.from(prefix, "latin1"));
    const pace = sink.write(format.tty ? bytes : muxFrame(stream, bytes, prefix));
    if (pace !== undefined) await pace;
  }
}

/** For the version asked for. */
export function streamType(tty: boolean, version: number): string {
  return !tty && version >= 42 ? multiplexedStream : rawStream;
}

/** The upgrade Docker's clients ask for when they want a 101; the header alone decides, as in dockerd. */
export function upgradeOf(request: ApiRequest): "tcp" | undefined {
  return request.headers.has("upgrade") ? "tcp" : undefined;
}

/** @throws Fault `invalid` when one of `h` and `w` is missing or no whole number. */
export function consoleSize(request: ApiRequest): { height: number; width: number } {
  const side = (name: "h" | "w", word: string): number => {
    const value = integer(request, name);
    if (value === undefined || value < 0 || value > 0xffff)
      throw new Fault("invalid", `invalid resize ${word} ${JSON.stringify(request.query.get(name) ?? "")}`);
    return value;
  };
  return { height: side("h", "height"), width: side("w", "width") };
}
