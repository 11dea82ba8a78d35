/** What the `syslog` driver's options say. */
import { existsSync } from "node:fs";
import { Fault } from "#spec/fault.ts";
import { type LogAddress, portOf, splitAddress } from "./log-address.ts";

export type SyslogFormat = "" | "rfc3164" | "rfc5424" | "rfc5424micro";

export interface SyslogOptions {
  /** Undefined: this machine's own syslog. */
  readonly address: LogAddress | undefined;
  /** Times eight, as it stands in a priority (RFC 5424, 6.2.1). */
  readonly facility: number;
  readonly format: SyslogFormat;
  readonly tls: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
    readonly skipVerify: boolean;
  };
}

const facilities = [
  ...["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
  ...["", "", "", ""],
  ...["local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
];
const daemonFacility = 3;
const facilityMax = 23;
const defaultPort = 514;

/** Before a container is made: the unix socket it names must be there. @throws Fault `invalid` in dockerd's words. */
export function checkSyslogOptions(options: Readonly<Record<string, string>>): void {
  const { address } = parseSyslogOptions(options);
  if (address !== undefined && "path" in address && !existsSync(address.path))
    throw new Fault("invalid", `stat ${address.path}: no such file or directory`);
}

/** @throws Fault `invalid` in dockerd's words. */
export function parseSyslogOptions(options: Readonly<Record<string, string>>): SyslogOptions {
  const format = options["syslog-format"] ?? "";
  const address = parseAddress(options["syslog-address"] ?? "");
  const facility = parseFacility(options["syslog-facility"] ?? "");
  if (!isFormat(format)) throw new Fault("invalid", "Invalid syslog format");
  return {
    address,
    facility: facility << 3,
    format,
    tls: {
      ca: options["syslog-tls-ca-cert"],
      cert: options["syslog-tls-cert"],
      key: options["syslog-tls-key"],
      // As in dockerd, being there is what counts.
      skipVerify: options["syslog-tls-skip-verify"] !== undefined,
    },
  };
}

function isFormat(text: string): text is SyslogFormat {
  return ["", "rfc3164", "rfc5424", "rfc5424micro"].includes(text);
}

function parseFacility(text: string): number {
  if (text === "") return daemonFacility;
  const named = facilities.indexOf(text);
  if (named >= 0) return named;
  if (/^\d+$/.test(text) && Number(text) <= facilityMax) return Number(text);
  throw new Fault("invalid", "invalid syslog facility");
}

function parseAddress(text: string): LogAddress | undefined {
  if (text === "") return undefined;
  const { scheme, host, port, path } = splitAddress(text);
  switch (scheme) {
    case "unix":
    case "unixgram":
      return { kind: scheme, path };
    case "udp":
    case "tcp":
      return { kind: scheme, host, port: portOf(port, defaultPort) };
    case "tcp+tls":
      return { kind: "tls", host, port: portOf(port, defaultPort) };
    default:
      throw new Fault("invalid", `unsupported scheme: '${scheme}'`);
  }
}
