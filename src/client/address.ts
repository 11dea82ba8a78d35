/** Pure. Where an engine listens, as `DOCKER_HOST` and `-H` say it. */
import { Fault } from "#spec/fault.ts";

export type EngineAddress =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "tcp";
      readonly hostname: string;
      readonly port: number;
      /** Absent: plain HTTP. */
      readonly tls?: EngineTls;
    };

/** How an engine is spoken to over TLS. Texts are PEM. */
export interface EngineTls {
  /** Whose certificate it must show; absent: one of those the platform trusts. */
  readonly authority?: string;
  /** What is shown to it, with its key. */
  readonly certificate?: string;
  readonly key?: string;
  /** False: whoever answers is believed. */
  readonly verify: boolean;
}

const defaultPort = 2375;
const defaultTlsPort = 2376;

/** `tls` is for tcp:// alone: a socket of this machine needs none. @throws Fault `invalid` for what is no address, `unsupported` for ways there that are not walked. */
export function parseAddress(text: string, tls?: EngineTls): EngineAddress {
  const match = /^([a-z]+):\/\/(.*)$/s.exec(text);
  if (match === null)
    throw new Fault(
      "invalid",
      `unable to parse docker host \`${text}\`: want unix://PATH or tcp://ADDRESS:PORT`,
    );
  const [, scheme = "", rest = ""] = match;
  if (scheme === "unix") return { kind: "unix", path: rest };
  if (scheme !== "tcp" && scheme !== "http")
    throw new Fault("unsupported", `${scheme}:// is not supported: use unix://PATH or tcp://ADDRESS:PORT`);
  const place = /^(\[[^\]]+\]|[^:/]*)(?::(\d+))?\/?$/.exec(rest);
  if (place === null) throw new Fault("invalid", `unable to parse docker host \`${text}\``);
  const hostname = (place[1] || "127.0.0.1").replace(/^\[(.*)\]$/, "$1");
  if (tls === undefined) return { kind: "tcp", hostname, port: Number(place[2] ?? defaultPort) };
  return { kind: "tcp", hostname, port: Number(place[2] ?? defaultTlsPort), tls };
}

export function formatAddress(address: EngineAddress): string {
  return address.kind === "unix" ? `unix://${address.path}` : `tcp://${address.hostname}:${address.port}`;
}
