/** The `gelf` driver: GELF 1.1 over UDP (compressed, in chunks) and TCP (null-terminated). */
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { deflate, gzip } from "node:zlib";
import { Fault } from "#spec/fault.ts";
import { chosenAttributes, commandLine, type LogSource, logTag } from "./log-attributes.ts";
import { connectLog, type LogConnection } from "./log-connection.ts";
import { type GelfOptions, parseGelfOptions } from "./log-gelf-options.ts";
import type { LogMessage } from "./log-message.ts";
import type { LogReceiver, LogRoute } from "./log-receiver.ts";

const compressors = { gzip: promisify(gzip), zlib: promisify(deflate) };
const severity = { stdout: 6, stderr: 3 } as const;
/** Of one datagram, so that it fits an Ethernet frame; a chunk's head is 12 of them. */
const chunkBytes = 1420;
const chunkHeadBytes = 12;
const chunksMax = 128;
const chunkMagic = [0x1e, 0x0f];

/** Pure. The message of GELF 1.1; `extra` are fields whose names begin with an underscore. */
export function formatGelf(
  message: LogMessage,
  hostname: string,
  extra: Readonly<Record<string, string>>,
): Buffer {
  const { line, stream, timeNano } = message;
  return Buffer.from(
    JSON.stringify({
      version: "1.1",
      host: hostname,
      short_message: Buffer.from(line.buffer, line.byteOffset, line.length).toString("utf8"),
      timestamp: Number(timeNano / 1_000_000n) / 1000,
      level: severity[stream],
      ...extra,
    }),
  );
}

/** Pure. One datagram, or as many as the message needs; none when it needs more than the protocol has. */
export function gelfDatagrams(bytes: Buffer, id: Buffer): Buffer[] {
  if (bytes.length <= chunkBytes) return [bytes];
  const size = chunkBytes - chunkHeadBytes;
  const count = Math.ceil(bytes.length / size);
  if (count > chunksMax) return [];
  return Array.from({ length: count }, (_, index) =>
    Buffer.concat([
      Buffer.from(chunkMagic),
      id,
      Buffer.from([index, count]),
      bytes.subarray(index * size, (index + 1) * size),
    ]),
  );
}

export function gelfRoute(source: LogSource, o: { readonly hostname: string }): LogRoute {
  const options = parseGelfOptions(source.host.LogConfig?.Config ?? {});
  const extra = {
    _command: commandLine(source),
    _container_id: source.id,
    _container_name: source.name,
    _created: source.created,
    _image_id: source.image.id,
    _image_name: source.image.reference,
    _tag: logTag(source),
    ...Object.fromEntries(chosenAttributes(source, (name) => (name.startsWith("_") ? name : `_${name}`))),
  };
  const { address } = options;
  const limited = source.host.LogConfig?.Config?.["gelf-tcp-max-reconnect"] !== undefined;
  return {
    connectsAtStart: true,
    retryMs: options.reconnectDelayMs,
    attemptsMax: limited ? options.maxReconnect + 1 : undefined,
    connect: async (signal) => {
      try {
        const connection = await connectLog(address, { signal });
        return new GelfReceiver(connection, options, (message) => formatGelf(message, o.hostname, extra));
      } catch (cause) {
        signal.throwIfAborted();
        throw new Fault(
          "unavailable",
          `gelf: cannot connect to GELF endpoint: ${address.host}:${address.port} ${Fault.from(cause).message}`,
          { cause },
        );
      }
    },
  };
}

class GelfReceiver implements LogReceiver {
  readonly #connection: LogConnection;
  readonly #o: GelfOptions;
  readonly #format: (message: LogMessage) => Buffer;

  constructor(connection: LogConnection, o: GelfOptions, format: (message: LogMessage) => Buffer) {
    this.#connection = connection;
    this.#o = o;
    this.#format = format;
  }

  async send(messages: readonly LogMessage[]): Promise<void> {
    const bodies = messages.filter(({ line }) => line.length > 0).map((message) => this.#format(message));
    if (this.#o.address.kind === "udp") {
      for (const body of bodies)
        for (const datagram of gelfDatagrams(await this.#compressed(body), randomBytes(8)))
          await this.#connection.write(datagram);
    } else if (bodies.length > 0)
      await this.#connection.write(Buffer.concat(bodies.flatMap((body) => [body, Buffer.from([0])])));
  }

  async #compressed(body: Buffer): Promise<Buffer> {
    const { compression, compressionLevel } = this.#o;
    if (compression === "none") return body;
    return await compressors[compression](body, { level: compressionLevel });
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}
