/** Pure. `/etc/hosts` and `/etc/resolv.conf` of containers (hosts(5), resolv.conf(5)), as dockerd writes them. */

export interface HostsInput {
  readonly hostname: string;
  readonly domainname: string;
  /** Of the container; none without a network. */
  readonly addresses: readonly string[];
  /** `NAME:ADDRESS`; the address `host-gateway` is the host's as the container sees it. */
  readonly extra: readonly string[];
  readonly gateway: string;
}

const always = [
  ["127.0.0.1", "localhost"],
  ["::1", "localhost ip6-localhost ip6-loopback"],
  ["fe00::", "ip6-localnet"],
  ["ff00::", "ip6-mcastprefix"],
  ["ff02::1", "ip6-allnodes"],
  ["ff02::2", "ip6-allrouters"],
] as const;

export function renderHosts(o: HostsInput): string {
  const names = ownNames(o);
  return lines([
    ...always,
    ...extraHosts(o.extra, o.gateway),
    ...o.addresses.map((address) => [address, names] as const),
  ]);
}

function ownNames({ hostname, domainname }: Pick<HostsInput, "hostname" | "domainname">): string {
  return domainname === "" ? hostname : `${hostname}.${domainname} ${hostname}`;
}

/** The container's own lines for other addresses; everything else in the file stays. */
export function changeOwnLines(
  text: string,
  o: Pick<HostsInput, "hostname" | "domainname"> & {
    readonly before: readonly string[];
    readonly after: readonly string[];
  },
): string {
  const names = ownNames(o);
  const gone = o.before.filter((each) => !o.after.includes(each)).map((each) => `${each}\t${names}`);
  const added = o.after.filter((each) => !o.before.includes(each)).map((each) => [each, names] as const);
  const kept = text.split("\n").filter((line) => !gone.includes(line));
  return kept.join("\n") + (kept.at(-1) === "" ? "" : "\n") + lines(added);
}

/** The host's own file, for a container that shares its network, and what was asked for beside. */
export function extendHosts(host: string, extra: readonly string[], gateway: string): string {
  return host + (host === "" || host.endsWith("\n") ? "" : "\n") + lines(extraHosts(extra, gateway));
}

function extraHosts(extra: readonly string[], gateway: string): (readonly [string, string])[] {
  return extra.map((text) => {
    const at = text.search(/[:=]/);
    const address = text.slice(at + 1);
    return [address === "host-gateway" ? gateway : address.replace(/^\[(.*)\]$/, "$1"), text.slice(0, at)];
  });
}

function lines(entries: readonly (readonly [string, string])[]): string {
  return entries.map(([address, names]) => `${address}\t${names}\n`).join("");
}

export interface ResolvInput {
  /** The host's file. */
  readonly host: string;
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
  /** A container that shares the host's network can ask servers on its loopback too. */
  readonly sharesHost: boolean;
}

/** What containers ask when the host's own servers are out of their reach, as dockerd has it. */
const publicServers = ["8.8.8.8", "8.8.4.4"];

export function renderResolvConf(o: ResolvInput): string {
  const host = parseResolvConf(o.host);
  const reachable = o.sharesHost ? host.nameservers : host.nameservers.filter((each) => !isLoopback(each));
  const servers = o.nameservers.length > 0 ? o.nameservers : reachable.length > 0 ? reachable : publicServers;
  // A single dot takes the host's search list away.
  const search = (o.search.length > 0 ? o.search : host.search).filter((each) => each !== ".");
  const options = o.options.length > 0 ? o.options : host.options;
  return [
    ...servers.map((each) => `nameserver ${each}\n`),
    ...(search.length > 0 ? [`search ${search.join(" ")}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(" ")}\n`] : []),
  ].join("");
}

function parseResolvConf(text: string): { nameservers: string[]; search: string[]; options: string[] } {
  const found = { nameservers: [] as string[], search: [] as string[], options: [] as string[] };
  for (const line of text.split("\n")) {
    const [key, ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (key === "nameserver" && values[0] !== undefined) found.nameservers.push(values[0]);
    else if (key === "search" || key === "domain") found.search = values;
    else if (key === "options") found.options.push(...values);
  }
  return found;
}

export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
