/** The `journald` driver: journald's native protocol (systemd, "Native Journal Protocol"), one datagram for each line. */
import { Fault } from "#spec/fault.ts";
import { formatRfc3339 } from "#spec/unix-time.ts";
import { chosenAttributes, type LogSource, logTag } from "./log-attributes.ts";
import { connectLog, type LogConnection } from "./log-connection.ts";
import type { LogMessage } from "./log-message.ts";
import type { LogReceiver, LogRoute } from "./log-receiver.ts";

const severity = { stdout: "6", stderr: "3" } as const;
const retryMs = 500;
const newline = 0x0a;

/** Pure. Fields of one entry; a value with a newline is written with its length in front of it. */
export function encodeJournal(fields: readonly (readonly [string, string | Uint8Array])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => {
      const bytes = typeof value === "string" ? Buffer.from(value) : value;
      if (!bytes.includes(newline)) return [Buffer.from(`${name}=`), bytes, Buffer.from("\n")];
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(bytes.length));
      return [Buffer.from(`${name}\n`), length, bytes, Buffer.from("\n")];
    }),
  );
}

/** Pure. A field's name has capitals, digits and underscores, and begins with no underscore. */
export function journalName(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, "_")
    .replace(/^_+/, "");
}

export function journaldRoute(
  source: LogSource,
  o: { readonly socket: string; readonly newId: () => string },
): LogRoute {
  const tag = logTag(source);
  const fields: [string, string][] = [
    ["CONTAINER_ID", source.id.slice(0, 12)],
    ["CONTAINER_ID_FULL", source.id],
    ["CONTAINER_NAME", source.name],
    ["CONTAINER_TAG", tag],
    ["IMAGE_NAME", source.image.reference],
    ["SYSLOG_IDENTIFIER", tag],
    ["CONTAINER_LOG_EPOCH", o.newId()],
  ];
  const own = new Set(["", "MESSAGE", "PRIORITY", ...fields.map(([name]) => name)]);
  for (const [name, value] of chosenAttributes(source, journalName))
    if (!own.has(name)) fields.push([name, value]);
  let ordinal = 0;
  return {
    connectsAtStart: true,
    retryMs,
    connect: async (signal) => {
      try {
        const connection = await connectLog({ kind: "unixgram", path: o.socket }, { signal });
        return new JournaldReceiver(connection, fields, () => ++ordinal);
      } catch (cause) {
        signal.throwIfAborted();
        throw new Fault("unavailable", "journald is not enabled on this host", { cause });
      }
    },
  };
}

class JournaldReceiver implements LogReceiver {
  readonly #connection: LogConnection;
  readonly #fields: readonly (readonly [string, string])[];
  readonly #nextOrdinal: () => number;

  constructor(
    connection: LogConnection,
    fields: readonly (readonly [string, string])[],
    nextOrdinal: () => number,
  ) {
    this.#connection = connection;
    this.#fields = fields;
    this.#nextOrdinal = nextOrdinal;
  }

  async send(messages: readonly LogMessage[]): Promise<void> {
    for (const { stream, timeNano, line, partial } of messages)
      await this.#connection.write(
        encodeJournal([
          ["PRIORITY", severity[stream]],
          ["MESSAGE", line],
          ...this.#fields,
          ["SYSLOG_TIMESTAMP", formatRfc3339(timeNano)],
          ["CONTAINER_LOG_ORDINAL", String(this.#nextOrdinal())],
          ...(partial === undefined ? [] : partialFields(partial)),
        ]),
      );
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

function partialFields({ id, ordinal, last }: NonNullable<LogMessage["partial"]>): [string, string][] {
  return [
    ["CONTAINER_PARTIAL_ID", id],
    ["CONTAINER_PARTIAL_ORDINAL", String(ordinal)],
    ["CONTAINER_PARTIAL_LAST", String(last)],
    ...(last ? [] : ([["CONTAINER_PARTIAL_MESSAGE", "true"]] as [string, string][])),
  ];
}
