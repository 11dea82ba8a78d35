/** Pure. What the `gelf` driver's options say. */
import { Fault } from "#spec/fault.ts";
import { portOf, splitAddress } from "./log-address.ts";

export interface GelfOptions {
  readonly address: { readonly kind: "tcp" | "udp"; readonly host: string; readonly port: number };
  /** Of UDP messages only. */
  readonly compression: "gzip" | "zlib" | "none";
  /** -1 for the library's own. */
  readonly compressionLevel: number;
  /** How often a lost TCP connection is made anew before it is waited longer. */
  readonly maxReconnect: number;
  readonly reconnectDelayMs: number;
}

const levels = { least: -1, most: 9 };
const defaults = { maxReconnect: 3, reconnectDelaySeconds: 1, level: 1 };

/** @throws Fault `invalid` in dockerd's words. */
export function parseGelfOptions(options: Readonly<Record<string, string>>): GelfOptions {
  const address = parseAddress(options["gelf-address"] ?? "");
  for (const name of ["gelf-compression-level", "gelf-compression-type"])
    if (options[name] !== undefined && address.kind !== "udp")
      throw new Fault("invalid", "compression is only supported on UDP");
  const unknown = (name: string, value: string) =>
    new Fault("invalid", `unknown value ${JSON.stringify(value)} for log opt "${name}" for gelf log driver`);
  const level = options["gelf-compression-level"] ?? String(defaults.level);
  if (!/^[+-]?\d+$/.test(level) || Number(level) < levels.least || Number(level) > levels.most)
    throw unknown("gelf-compression-level", level);
  const compression = options["gelf-compression-type"] ?? "gzip";
  if (compression !== "gzip" && compression !== "zlib" && compression !== "none")
    throw unknown("gelf-compression-type", compression);
  const count = (name: string, fallback: number): number => {
    const text = options[name];
    if (text === undefined) return fallback;
    if (address.kind !== "tcp") throw new Fault("invalid", `"${name}" is only valid for TCP`);
    if (!/^\+?\d+$/.test(text)) throw new Fault("invalid", `"${name}" must be a positive integer`);
    return Number(text);
  };
  return {
    address,
    compression,
    compressionLevel: Number(level),
    maxReconnect: count("gelf-tcp-max-reconnect", defaults.maxReconnect),
    reconnectDelayMs: count("gelf-tcp-reconnect-delay", defaults.reconnectDelaySeconds) * 1000,
  };
}

function parseAddress(text: string): GelfOptions["address"] {
  if (text === "") throw new Fault("invalid", "gelf-address is a required parameter");
  const { scheme, host, port } = splitAddress(text);
  if (scheme !== "udp" && scheme !== "tcp")
    throw new Fault("invalid", "gelf: endpoint needs to be TCP or UDP");
  if (port === "") throw new Fault("invalid", "gelf: please provide gelf-address as proto://host:port");
  return { kind: scheme, host, port: portOf(port, 0) };
}
