/** Pure. `/etc/hosts` of containers (hosts(5)), as dockerd writes it. */

export interface HostsInput {
  readonly hostname: string;
  readonly domainname: string;
  /** Of the container; none without a network. */
  readonly addresses: readonly string[];
  /** `NAME:ADDRESS`. */
  readonly extra: readonly string[];
  /** What `host-gateway` means: a line for each. */
  readonly gateways: readonly string[];
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
    ...extraHosts(o.extra, o.gateways),
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
export function extendHosts(host: string, extra: readonly string[], gateways: readonly string[]): string {
  return host + (host === "" || host.endsWith("\n") ? "" : "\n") + lines(extraHosts(extra, gateways));
}

function extraHosts(extra: readonly string[], gateways: readonly string[]): (readonly [string, string])[] {
  return extra.flatMap((text) => {
    const at = text.search(/[:=]/);
    const address = text.slice(at + 1);
    const addresses = address === "host-gateway" ? gateways : [address.replace(/^\[(.*)\]$/, "$1")];
    return addresses.map((each) => [each, text.slice(0, at)] as const);
  });
}

function lines(entries: readonly (readonly [string, string])[]): string {
  return entries.map(([address, names]) => `${address}\t${names}\n`).join("");
}
