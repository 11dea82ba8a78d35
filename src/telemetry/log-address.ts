/** Pure. Addresses of log receivers, as Go's `url.Parse` and `net.SplitHostPort` take them apart. */
import { Fault } from "#spec/fault.ts";

export type LogAddress =
  | StreamAddress
  | { readonly kind: "udp"; readonly host: string; readonly port: number }
  | { readonly kind: "unixgram"; readonly path: string };

export type StreamAddress =
  | { readonly kind: "tcp" | "tls"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export interface AddressParts {
  readonly scheme: string;
  readonly host: string;
  /** Empty when none is said. */
  readonly port: string;
  readonly path: string;
}

/** `scheme://host:port/path`; what is missing is empty. @throws Fault `invalid`. */
export function splitAddress(text: string): AddressParts {
  const match = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)/i.exec(text);
  const authority = match?.[2] ?? "";
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(authority) ?? [];
  const host = bracketed ?? plain;
  if (match === null || host === undefined || !/^\d*$/.test(port ?? ""))
    throw new Fault("invalid", `parse ${JSON.stringify(text)}: invalid port or host in the address`);
  return { scheme: (match[1] ?? "").toLowerCase(), host, port: port ?? "", path: match[3] ?? "" };
}

/** @throws Fault `invalid`. */
export function portOf(text: string, fallback: number): number {
  const port = text === "" ? fallback : Number(text);
  if (port > 0xffff) throw new Fault("invalid", `invalid port ${text}: want at most 65535`);
  return port;
}

/** As messages say it: `127.0.0.1:514`. */
export function shownAddress(address: LogAddress): string {
  if ("path" in address) return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
