/** The `syslog` driver: RFC 3164 and RFC 5424 over UDP, TCP, TLS (RFC 5425 framing) and unix sockets. */
import { readFileSync } from "node:fs";
import { Fault } from "#spec/fault.ts";
import { type LogSource, logTag } from "./log-attributes.ts";
import { connectLog, type LogConnection } from "./log-connection.ts";
import type { LogMessage } from "./log-message.ts";
import type { LogReceiver, LogRoute } from "./log-receiver.ts";
import { parseSyslogOptions, type SyslogFormat, type SyslogOptions } from "./log-syslog-options.ts";

export interface SyslogHeader {
  readonly format: SyslogFormat;
  /** Times eight. */
  readonly facility: number;
  readonly hostname: string;
  readonly tag: string;
  readonly pid: number;
}

const severity = { stdout: 6, stderr: 3 } as const;
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (value: number) => String(value).padStart(2, "0");
const retryMs = 500;

/** Pure but for the local time zone. The time is that of the line, where dockerd gives that of its sending. */
export function formatSyslog(header: SyslogHeader, message: LogMessage): Buffer {
  const { facility, format, hostname, pid, tag } = header;
  const priority = `<${facility + severity[message.stream]}>`;
  const at = new Date(Number(message.timeNano / 1_000_000n));
  const micros = Number((message.timeNano / 1000n) % 1_000_000n);
  const head =
    format === "rfc5424" || format === "rfc5424micro"
      ? `${priority}1 ${rfc3339(at, format === "rfc5424micro" ? micros : undefined)} ${hostname} ${tag} ${pid} ${tag} - `
      : `${priority}${stamp(at)} ${format === "rfc3164" ? `${hostname} ` : ""}${tag}[${pid}]: `;
  return Buffer.concat([Buffer.from(head), message.line, Buffer.from("\n")]);
}

/** `Jan  2 15:04:05`, local. */
function stamp(at: Date): string {
  const day = String(at.getDate()).padStart(2, " ");
  return `${months[at.getMonth()]} ${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function rfc3339(at: Date, micros: number | undefined): string {
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const fraction = micros === undefined ? "" : `.${String(micros).padStart(6, "0")}`;
  const offset = -at.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const zone =
    offset === 0 ? "Z" : `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${date}T${time}${fraction}${zone}`;
}

/** @throws Fault `invalid` for files of TLS that cannot be read. */
export function syslogRoute(
  source: LogSource,
  o: { readonly hostname: string; readonly pid: number; readonly localSockets: readonly string[] },
): LogRoute {
  const options = parseSyslogOptions(source.host.LogConfig?.Config ?? {});
  const header: SyslogHeader = { ...options, hostname: o.hostname, pid: o.pid, tag: logTag(source) };
  return {
    connectsAtStart: true,
    retryMs,
    connect: async (signal) =>
      new SyslogReceiver(await connectSyslog(options, o.localSockets, signal), header, options),
  };
}

class SyslogReceiver implements LogReceiver {
  readonly #connection: LogConnection;
  readonly #header: SyslogHeader;
  readonly #framed: boolean;
  readonly #datagrams: boolean;

  constructor(connection: LogConnection, header: SyslogHeader, { address, format }: SyslogOptions) {
    this.#connection = connection;
    this.#header = header;
    this.#framed = address?.kind === "tls" && format.startsWith("rfc5424");
    this.#datagrams = address === undefined || address.kind === "udp" || address.kind === "unixgram";
  }

  async send(messages: readonly LogMessage[]): Promise<void> {
    const lines = messages
      .filter(({ line }) => line.length > 0)
      .map((message) => {
        const text = formatSyslog(this.#header, message);
        return this.#framed ? Buffer.concat([Buffer.from(`${text.length} `), text]) : text;
      });
    if (this.#datagrams) for (const line of lines) await this.#connection.write(line);
    else if (lines.length > 0) await this.#connection.write(Buffer.concat(lines));
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

async function connectSyslog(
  { address, tls }: SyslogOptions,
  localSockets: readonly string[],
  signal: AbortSignal,
): Promise<LogConnection> {
  if (address !== undefined) {
    const files = { ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key), skipVerify: tls.skipVerify };
    return await connectLog(address, { tls: files, signal });
  }
  for (const path of localSockets)
    try {
      return await connectLog({ kind: "unixgram", path }, { signal });
    } catch {
      signal.throwIfAborted();
    }
  throw new Fault("unavailable", "Unix syslog delivery error");
}

function file(path: string | undefined): Buffer | undefined {
  return path === undefined ? undefined : readFileSync(path);
}
