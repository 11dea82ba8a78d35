/**
 * How registries are spoken to.
 * Pure. Owns: dockerd's words for it, and what they mean for a host.
 */
import { Fault } from "#spec/fault.ts";
import { defaultDomain } from "#spec/reference.ts";

export interface RegistryOptions {
  /** `URL` for docker.io, `DOMAIN=URL` for another registry; asked in this order before the registry itself. */
  readonly mirrors: readonly string[];
  /** `HOST[:PORT]` or CIDR: certificates are not checked, plain HTTP will do. Loopback always is. */
  readonly insecure: readonly string[];
  /** Directories like `/etc/docker/certs.d`, the first that knows a host counts. */
  readonly certificates: readonly string[];
  /** Hosts beside the registry's own that may be sent its credentials to make a token of. */
  readonly authRealms: readonly string[];
  readonly proxy: ProxyOptions;
  /** Blobs fetched at once by all pulls. */
  readonly maxDownloads: number;
  readonly maxUploads: number;
  /** Of a transfer that breaks off, for each blob. */
  readonly maxAttempts: number;
  /** Before the second attempt, doubled each time. In milliseconds. */
  readonly retryDelayMs: number;
  /** In `User-Agent`. */
  readonly userAgent: string;
}

/** URLs; `none` is a list as in NO_PROXY. */
export interface ProxyOptions {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  readonly none?: string | undefined;
}

export const defaultRegistryOptions: RegistryOptions = {
  mirrors: [],
  insecure: [],
  certificates: ["/etc/wherry/certs.d", "/etc/docker/certs.d"],
  authRealms: [],
  proxy: {},
  maxDownloads: 3,
  maxUploads: 5,
  maxAttempts: 5,
  retryDelayMs: 500,
  userAgent: "wherry",
};

/** A place that serves a registry's repositories. */
export interface Endpoint {
  /** `HOST[:PORT]`. */
  readonly host: string;
  /** Behind the host, without a slash at the end. */
  readonly path: string;
  /** Undefined: try HTTPS, then HTTP. */
  readonly scheme: "https" | "http" | undefined;
  readonly insecure: boolean;
  readonly isMirror: boolean;
}

/** Where Docker's own registry really answers. */
const hubHost = "registry-1.docker.io";

/** Mirrors, then the registry. @throws Fault `invalid` for a mirror that is no URL. */
export function endpointsOf(domain: string, o: RegistryOptions): Endpoint[] {
  const mirrors = o.mirrors.flatMap((text) => {
    const [, of = defaultDomain, url = ""] = /^(?:([^=/]+)=)?(.*)$/.exec(text) ?? [];
    return of === domain ? [mirror(url, o)] : [];
  });
  const host = domain === defaultDomain ? hubHost : domain;
  const insecure = isInsecure(host, o.insecure);
  return [...mirrors, { host, path: "", scheme: insecure ? undefined : "https", insecure, isMirror: false }];
}

function mirror(text: string, o: RegistryOptions): Endpoint {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:") || url.username !== "")
    throw new Fault("invalid", `invalid mirror: ${JSON.stringify(text)} is no http:// or https:// URL`);
  const scheme = url.protocol === "https:" ? "https" : "http";
  return {
    host: url.host,
    path: url.pathname.replace(/\/+$/, ""),
    scheme,
    insecure: scheme === "http" || isInsecure(url.host, o.insecure),
    isMirror: true,
  };
}

/** The name or address, without a port. */
export function hostnameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host);
  return (bracketed?.[1] ?? host.replace(/:\d+$/, "")).toLowerCase();
}

export function isInsecure(host: string, list: readonly string[]): boolean {
  const name = hostnameOf(host);
  if (name === "localhost" || name === "::1" || inNetwork(name, "127.0.0.0/8")) return true;
  return list.some((each) =>
    each.includes("/") ? inNetwork(name, each) : each.toLowerCase() === host.toLowerCase() || each === name,
  );
}

/** IPv4 in dotted form. */
function inNetwork(address: string, cidr: string): boolean {
  const [network = "", bits = ""] = cidr.split("/");
  const [a, b] = [ipv4Number(address), ipv4Number(network)];
  const hostSize = 2 ** (32 - Number(bits));
  return (
    a !== undefined &&
    b !== undefined &&
    /^\d+$/.test(bits) &&
    Math.floor(a / hostSize) === Math.floor(b / hostSize)
  );
}

function ipv4Number(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255))
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** The proxy for a URL, as curl and Go decide it. Loopback never goes through one. */
export function proxyFor(url: URL, o: ProxyOptions): string | undefined {
  const proxy = url.protocol === "https:" ? o.https : o.http;
  const name = hostnameOf(url.host);
  if (proxy === undefined || proxy === "") return undefined;
  if (name === "localhost" || name === "::1" || inNetwork(name, "127.0.0.0/8")) return undefined;
  const excluded = (o.none ?? "").split(",").map((each) => each.trim().toLowerCase());
  if (excluded.some((each) => each !== "" && spares(each, name, url.host))) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function spares(rule: string, name: string, host: string): boolean {
  if (rule === "*" || rule === name || rule === host) return true;
  if (rule.includes("/")) return inNetwork(name, rule);
  return name.endsWith(rule.startsWith(".") ? rule : `.${rule}`);
}
