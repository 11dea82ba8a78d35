/** Which way a container's output takes, by its log driver. */
import type { LogSource } from "./log-attributes.ts";
import { fluentdRoute } from "./log-fluentd.ts";
import { gelfRoute } from "./log-gelf.ts";
import { journaldRoute } from "./log-journald.ts";
import type { LogRoute } from "./log-receiver.ts";
import { syslogRoute } from "./log-syslog.ts";

/** The machine as receivers are told of it, and where its own are. */
export interface LogMachine {
  readonly hostname: string;
  /** Of the engine: what stands behind a tag in syslog. */
  readonly pid: number;
  readonly newId: () => string;
  readonly journalSocket: string;
  readonly syslogSockets: readonly string[];
}

/** Where Linux has them. */
export const usualLogSockets = {
  journalSocket: "/run/systemd/journal/socket",
  syslogSockets: ["/dev/log", "/var/run/syslog", "/var/run/log"],
} as const;

/** Undefined for drivers that keep the output here. */
export function logRoute(source: LogSource, machine: LogMachine): LogRoute | undefined {
  const { hostname, pid, newId, journalSocket, syslogSockets } = machine;
  switch (source.host.LogConfig?.Type) {
    case "syslog":
      return syslogRoute(source, { hostname, pid, localSockets: syslogSockets });
    case "fluentd":
      return fluentdRoute(source, newId);
    case "gelf":
      return gelfRoute(source, { hostname });
    case "journald":
      return journaldRoute(source, { socket: journalSocket, newId });
    default:
      return undefined;
  }
}
