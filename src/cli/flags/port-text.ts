/**
 * Ports as `ps` shows them: neighbouring ones as ranges, those published under another number behind the rest.
 * Pure.
 */
import type { PortSummary } from "#spec/docker-wire.ts";

interface Range {
  first: number;
  last: number;
}

/** `99/tcp, 0.0.0.0:80-81->80-81/tcp, 127.0.0.1:8080->80/tcp`. */
export function formatPorts(ports: readonly PortSummary[]): string {
  const open = new Map<string, Range>();
  const shown: string[] = [];
  const moved: string[] = [];
  for (const { IP = "", PrivatePort, PublicPort = 0, Type } of [...ports].sort(inOrder)) {
    if (IP !== "" && PublicPort !== PrivatePort) {
      moved.push(`${hostPort(IP, String(PublicPort))}->${PrivatePort}/${Type}`);
      continue;
    }
    const key = `${IP}/${Type}`;
    const range = open.get(key);
    if (range?.last === PrivatePort - 1) range.last = PrivatePort;
    else {
      if (range !== undefined) shown.push(rangeText(key, range));
      open.set(key, { first: PrivatePort, last: PrivatePort });
    }
  }
  return [...shown, ...[...open].map(([key, range]) => rangeText(key, range)), ...moved].join(", ");
}

function inOrder(a: PortSummary, b: PortSummary): number {
  return (
    a.PrivatePort - b.PrivatePort ||
    compare(a.IP ?? "", b.IP ?? "") ||
    (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
    compare(a.Type, b.Type)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function rangeText(key: string, { first, last }: Range): string {
  const slash = key.lastIndexOf("/");
  const [ip, type] = [key.slice(0, slash), key.slice(slash + 1)];
  const range = first === last ? String(first) : `${first}-${last}`;
  return ip === "" ? `${range}/${type}` : `${hostPort(ip, range)}->${range}/${type}`;
}

/** An address of version 6 in brackets. */
export function hostPort(ip: string, port: string): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
