/** Pure. What the `fluentd` driver's options say. */
import { Fault } from "#spec/fault.ts";
import { parseGoDuration } from "#spec/go-duration.ts";
import { parseBoolean, parseByteSize, parseInteger } from "#spec/go-values.ts";
import { type LogAddress, portOf, splitAddress } from "./log-address.ts";

export interface FluentdOptions {
  readonly address: LogAddress;
  /** A start does not wait for the receiver. */
  readonly async: boolean;
  /** The connection is made anew when it is older; 0: never. */
  readonly reconnectMs: number;
  readonly maxRetries: number;
  readonly retryWaitMs: number;
  readonly subSecond: boolean;
  readonly requestAck: boolean;
  /** 0: no limit. */
  readonly writeTimeoutMs: number;
  /** How much is sent before it is waited for the receiver to take it. */
  readonly bufferBytes: number;
}

const defaultPort = 24224;
const maxRetriesMax = 2 ** 31 - 1;
const reconnectMs = { least: 100, most: 10_000 };

/** @throws Fault `invalid` in dockerd's words. */
export function parseFluentdOptions(options: Readonly<Record<string, string>>): FluentdOptions {
  const given = (name: string): string | undefined => options[`fluentd-${name}`] || undefined;
  const flag = (name: string): boolean => parseBoolean(given(name) ?? "false");
  const retries = given("max-retries");
  const maxRetries = retries === undefined ? maxRetriesMax : parseInteger(retries);
  if (maxRetries < 0 || maxRetries > maxRetriesMax)
    throw new Fault("invalid", "invalid fluentd-max-retries: value out of range");
  return {
    address: parseAddress(options["fluentd-address"] ?? ""),
    async: flag("async"),
    reconnectMs: parseReconnect(given("async-reconnect-interval")),
    maxRetries,
    retryWaitMs: milliseconds(given("retry-wait") ?? "1s"),
    subSecond: flag("sub-second-precision"),
    requestAck: flag("request-ack"),
    writeTimeoutMs: parseWriteTimeout(given("write-timeout")),
    bufferBytes: parseByteSize(given("buffer-limit") ?? "1m", 1024),
  };
}

function parseReconnect(text: string | undefined): number {
  if (text === undefined) return 0;
  const interval = named("fluentd-async-reconnect-interval", () => milliseconds(text));
  if (interval !== 0 && (interval < reconnectMs.least || interval > reconnectMs.most))
    throw new Fault(
      "invalid",
      `invalid value for fluentd-async-reconnect-interval: value (${JSON.stringify(text)}) must be between 100ms and 10s`,
    );
  return interval;
}

function parseWriteTimeout(text: string | undefined): number {
  const timeout = text === undefined ? 0 : named("fluentd-write-timeout", () => milliseconds(text));
  if (timeout < 0)
    throw new Fault(
      "invalid",
      "invalid value for fluentd-write-timeout: value must be a duration that is non-negative",
    );
  return timeout;
}

function named<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Fault("invalid", `invalid value for ${option}: ${Fault.from(cause).message}`, { cause });
  }
}

function parseAddress(text: string): LogAddress {
  if (text === "") return { kind: "tcp", host: "127.0.0.1", port: defaultPort };
  const broken = (reason: string) => new Fault("invalid", `invalid fluentd-address (${text}): ${reason}`);
  const { scheme, host, port, path } = splitAddress(text.includes("://") ? text : `tcp://${text}`);
  if (scheme === "unix") {
    if (path.replace(/^\/+/, "") === "") throw broken("path is empty");
    return { kind: "unix", path };
  }
  if (scheme !== "tcp" && scheme !== "tls") throw broken(`unsupported scheme: '${scheme}'`);
  if (path !== "") throw broken("should not contain a path element");
  return { kind: scheme, host: host || "127.0.0.1", port: portOf(port, defaultPort) };
}

function milliseconds(text: string): number {
  return parseGoDuration(text) / 1e6;
}
