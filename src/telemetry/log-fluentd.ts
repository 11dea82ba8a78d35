/** The `fluentd` driver: the forward protocol's message mode (Fluentd Forward Protocol v1), one message for each line. */
import { decodeMulti, ExtData, encode } from "@msgpack/msgpack";
import { chosenAttributes, type LogSource, logTag } from "./log-attributes.ts";
import { connectLog, type LogConnection } from "./log-connection.ts";
import { type FluentdOptions, parseFluentdOptions } from "./log-fluentd-options.ts";
import type { LogMessage } from "./log-message.ts";
import type { LogReceiver, LogRoute } from "./log-receiver.ts";

const ackTimeoutMs = 30_000;
/** Of an answer; a longer one is none. */
const answerBytesMax = 64 << 10;
/** `EventTime` of the protocol. */
const eventTimeType = 0;
const second = 1_000_000_000n;

/** What stands beside each line. Pure. */
export interface FluentdHeader {
  readonly tag: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly subSecond: boolean;
}

/** Pure. `chunk` asks the receiver to say when it has it. */
export function encodeFluentd(header: FluentdHeader, message: LogMessage, chunk?: string): Uint8Array {
  const { partial, stream, timeNano, line } = message;
  const record = {
    ...header.fields,
    source: stream,
    log: Buffer.from(line.buffer, line.byteOffset, line.length).toString("utf8"),
    ...(partial !== undefined && {
      partial_message: "true",
      partial_id: partial.id,
      partial_ordinal: String(partial.ordinal),
      partial_last: String(partial.last),
    }),
  };
  const time = header.subSecond ? eventTime(timeNano) : Number(timeNano / second);
  return encode([header.tag, time, record, chunk === undefined ? {} : { chunk }]);
}

function eventTime(timeNano: bigint): ExtData {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(Number(timeNano / second), 0);
  bytes.writeUInt32BE(Number(timeNano % second), 4);
  return new ExtData(eventTimeType, bytes);
}

export function fluentdRoute(source: LogSource, newId: () => string): LogRoute {
  const options = parseFluentdOptions(source.host.LogConfig?.Config ?? {});
  const header: FluentdHeader = {
    tag: logTag(source),
    subSecond: options.subSecond,
    fields: {
      container_id: source.id,
      container_name: `/${source.name}`,
      ...Object.fromEntries(chosenAttributes(source)),
    },
  };
  return {
    connectsAtStart: !options.async,
    retryMs: options.retryWaitMs,
    attemptsMax: source.host.LogConfig?.Config?.["fluentd-max-retries"] ? options.maxRetries + 1 : undefined,
    connect: async (signal) =>
      new FluentdReceiver(await connectLog(options.address, { signal }), header, options, newId),
  };
}

class FluentdReceiver implements LogReceiver {
  readonly #connection: LogConnection;
  readonly #header: FluentdHeader;
  readonly #o: FluentdOptions;
  readonly #newId: () => string;
  readonly #openedMs = performance.now();
  #answers = Buffer.alloc(0);
  #answered: (ack: string) => void = () => undefined;

  constructor(
    connection: LogConnection,
    header: FluentdHeader,
    options: FluentdOptions,
    newId: () => string,
  ) {
    this.#connection = connection;
    this.#header = header;
    this.#o = options;
    this.#newId = newId;
    connection.onAnswer?.((bytes) => this.#take(bytes));
  }

  async send(messages: readonly LogMessage[]): Promise<void> {
    const { bufferBytes, reconnectMs } = this.#o;
    if (reconnectMs > 0 && performance.now() - this.#openedMs > reconnectMs)
      throw new Error("the connection is as old as it may become");
    let parts: Uint8Array[] = [];
    let bytes = 0;
    for (const [index, message] of messages.entries()) {
      const last = index === messages.length - 1;
      const chunk = this.#o.requestAck && (last || bytes >= bufferBytes) ? btoa(this.#newId()) : undefined;
      const part = encodeFluentd(this.#header, message, chunk);
      parts.push(part);
      bytes += part.length;
      if (!last && bytes < bufferBytes && chunk === undefined) continue;
      await this.#write(Buffer.concat(parts), chunk);
      parts = [];
      bytes = 0;
    }
  }

  /** The receiver takes messages in order: that it has the last says that it has all. */
  async #write(bytes: Uint8Array, chunk: string | undefined): Promise<void> {
    const acknowledged = Promise.withResolvers<void>();
    this.#answered = (ack) => ack === chunk && acknowledged.resolve();
    const { writeTimeoutMs } = this.#o;
    await within(this.#connection.write(bytes), writeTimeoutMs, "the receiver does not take what is sent");
    if (chunk !== undefined)
      await within(acknowledged.promise, ackTimeoutMs, "the receiver does not say that it has it");
  }

  #take(bytes: Uint8Array): void {
    this.#answers = Buffer.concat([this.#answers, bytes]).subarray(-answerBytesMax);
    try {
      for (const answer of decodeMulti(this.#answers))
        if (typeof answer === "object" && answer !== null && "ack" in answer)
          this.#answered(String(answer.ack));
      this.#answers = Buffer.alloc(0);
    } catch {
      // Not whole yet.
    }
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

/** 0: however long it takes. */
async function within(work: Promise<void>, timeoutMs: number, otherwise: string): Promise<void> {
  if (timeoutMs <= 0) return await work;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(otherwise)), timeoutMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
