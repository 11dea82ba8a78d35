/** Pure. What `wherryd` is told about networks: dockerd's names and meanings. */
import * as v from "valibot";
import type { DnsDefaults } from "#network/names/container-files.ts";
import type { DefaultBridge, PoolWish } from "#network/predefined.ts";
import { bridgeOption } from "#network/records/bridge-options.ts";
import type { AddressPool } from "#network/records/ipam.ts";
import { type FirewallMode, firewallModes } from "#network/rules/host-rules.ts";
import { Fault } from "#spec/fault.ts";
import {
  canonicalAddress,
  type Family,
  familyOf,
  formatSubnet,
  networkOf,
  parseAddress,
  parseSubnet,
} from "#spec/ip.ts";

export interface NetworkFlags {
  readonly bridge: DefaultBridge;
  readonly ip6tables: boolean;
  /** A relay of the engine leads ports of IPv6 to containers of IPv4, and those of the loopback. */
  readonly userlandProxy: boolean;
  readonly addressPools: readonly AddressPool[] | undefined;
  /** By driver: options of networks that do not say otherwise. */
  readonly networkDefaults: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly dns: DnsDefaults;
  /** What `host-gateway` means, in place of the default bridge's own addresses; at most one of a family. */
  readonly hostGateways: readonly string[] | undefined;
  readonly firewall: FirewallMode;
}

/** Keys of the configuration file, by flag. */
export const networkFlags = {
  bip: { key: "bip", many: false },
  bip6: { key: "bip6", many: false },
  "fixed-cidr": { key: "fixed-cidr", many: false },
  "fixed-cidr-v6": { key: "fixed-cidr-v6", many: false },
  "default-gateway": { key: "default-gateway", many: false },
  "default-gateway-v6": { key: "default-gateway-v6", many: false },
  ip: { key: "ip", many: false },
  mtu: { key: "mtu", many: false },
  "default-address-pool": { key: "default-address-pools", many: true },
  "default-network-opt": { key: "default-network-opts", many: true },
  dns: { key: "dns", many: true },
  "dns-opt": { key: "dns-opts", many: true },
  "dns-search": { key: "dns-search", many: true },
  "host-gateway-ip": { key: "host-gateway-ips", many: true },
  firewall: { key: "firewall", many: false },
} as const;

export const networkSwitches = ["icc", "ip-masq", "ip6tables", "ipv6", "userland-proxy"] as const;

const text = v.optional(v.string());
const list = v.optional(v.array(v.string()));
const truth = v.optional(v.boolean());
export const networkFileEntries = {
  ...{ bip: text, bip6: text, "fixed-cidr": text, "fixed-cidr-v6": text },
  ...{ "default-gateway": text, "default-gateway-v6": text, ip: text },
  mtu: v.optional(v.number()),
  "default-address-pools": v.optional(v.array(v.strictObject({ base: v.string(), size: v.number() }))),
  "default-network-opts": v.optional(v.record(v.string(), v.record(v.string(), v.string()))),
  ...{ dns: list, "dns-opts": list, "dns-search": list, "host-gateway-ips": list },
  /** Its older name. */
  "host-gateway-ip": text,
  ...{ icc: truth, "ip-masq": truth, ip6tables: truth, ipv6: truth, "userland-proxy": truth },
  firewall: text,
};
export type NetworkFile = v.InferOutput<v.ObjectSchema<typeof networkFileEntries, undefined>>;

type FlagName = keyof typeof networkFlags;
type FlagValues = Readonly<Partial<Record<FlagName, readonly string[]>>>;
type OneName =
  | "bip"
  | "bip6"
  | `fixed-cidr${"" | "-v6"}`
  | `default-gateway${"" | "-v6"}`
  | "ip"
  | "firewall";

/** @throws Fault `invalid` naming the flag. */
export function decideNetwork(
  values: FlagValues,
  switches: ReadonlySet<string>,
  file: NetworkFile,
): NetworkFlags {
  const one = (name: OneName): string | undefined => (values[name]?.at(-1) ?? file[name]) || undefined;
  const on = (name: (typeof networkSwitches)[number], usually: boolean): boolean =>
    switches.has(name) ? true : switches.has(`no-${name}`) ? false : (file[name] ?? usually);
  const pools = values["default-address-pool"]?.map(parsePoolFlag) ?? file["default-address-pools"];
  const wish = (family: Family, suffix: "" | "-v6"): PoolWish => ({
    subnet: subnetOf(family === 4 ? "bip" : "bip6", one(family === 4 ? "bip" : "bip6"), family),
    range: rangeOf(`fixed-cidr${suffix}`, one(`fixed-cidr${suffix}`), family),
    gateway: addressOf(`default-gateway${suffix}`, one(`default-gateway${suffix}`), family),
  });
  const hostIp = addressOf("ip", one("ip"));
  const mtu = values.mtu?.at(-1) ?? file.mtu?.toString();
  const options = {
    ...(hostIp !== undefined && { [bridgeOption.hostIp]: hostIp }),
    ...(mtu !== undefined && { [bridgeOption.mtu]: mtuOf(mtu) }),
    ...(!on("icc", true) && { [bridgeOption.icc]: "false" }),
    ...(!on("ip-masq", true) && { [bridgeOption.masquerade]: "false" }),
  };
  return {
    bridge: { ipv4: wish(4, ""), ipv6: on("ipv6", false) ? wish(6, "-v6") : undefined, options },
    ip6tables: on("ip6tables", true),
    userlandProxy: on("userland-proxy", true),
    addressPools: pools?.map(({ base, size }) => ({ base: parseSubnet(base), size })),
    networkDefaults:
      values["default-network-opt"] === undefined
        ? (file["default-network-opts"] ?? {})
        : parseNetworkDefaults(values["default-network-opt"]),
    dns: {
      servers: (values.dns ?? file.dns ?? []).map(server),
      search: (values["dns-search"] ?? file["dns-search"] ?? []).map(searchDomain),
      options: values["dns-opt"] ?? file["dns-opts"] ?? [],
    },
    hostGateways: hostGatewaysOf(
      values["host-gateway-ip"] ??
        file["host-gateway-ips"] ??
        (file["host-gateway-ip"] === undefined ? undefined : [file["host-gateway-ip"]]),
    ),
    firewall: firewallOf(one("firewall") ?? "strict"),
  };
}

function invalid(name: string, given: string, want: string): Fault {
  return new Fault("invalid", `invalid --${name} ${JSON.stringify(given)}: want ${want}`);
}

/** As it is: an address within says which is the bridge's. */
function subnetOf(name: string, given: string | undefined, family: Family): string | undefined {
  if (given === undefined) return undefined;
  const want = `an IPv${family} address and the length of its prefix, as in ${family === 4 ? "10.1.0.1/24" : "fd00:1::1/64"}`;
  try {
    if (familyOf(parseSubnet(given).address) === family) return given;
  } catch {
    // Said below.
  }
  throw invalid(name, given, want);
}

function rangeOf(name: string, given: string | undefined, family: Family): string | undefined {
  const subnet = subnetOf(name, given, family);
  return subnet === undefined ? undefined : formatSubnet(networkOf(parseSubnet(subnet)));
}

function addressOf(name: string, given: string | undefined, family?: Family): string | undefined {
  if (given === undefined) return undefined;
  if (parseAddress(given) === undefined || (family !== undefined && familyOf(given) !== family))
    throw invalid(name, given, `an ${family === undefined ? "IP" : `IPv${family}`} address`);
  return canonicalAddress(given);
}

/** 0 is the usual one. Bounds as `bridge-options.ts` has them. */
function mtuOf(given: string): string {
  const value = Number(given);
  if (!/^\d{1,5}$/.test(given) || (value !== 0 && (value < 68 || value > 65535)))
    throw invalid("mtu", given, "a number of bytes from 68 to 65535");
  return value === 0 ? "1500" : given;
}

function server(given: string): string {
  if (parseAddress(given) === undefined) throw invalid("dns", given, "an IP address");
  return given;
}

/** A dot leaves the host's list out. */
function searchDomain(given: string): string {
  if (given !== "." && !/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/i.test(given))
    throw invalid("dns-search", given, "a domain");
  return given;
}

function hostGatewaysOf(given: readonly string[] | undefined): readonly string[] | undefined {
  const addresses = given
    ?.flatMap((each) => each.split(","))
    .map((each) => addressOf("host-gateway-ip", each) ?? "");
  if (addresses === undefined) return undefined;
  if (new Set(addresses.map(familyOf)).size < addresses.length)
    throw invalid("host-gateway-ip", addresses.join(","), "at most one address of each family");
  return addresses.toSorted((a, b) => familyOf(a) - familyOf(b));
}

function firewallOf(given: string): FirewallMode {
  const mode = firewallModes.find((each) => each === given);
  if (mode === undefined)
    throw new Fault("invalid", `invalid firewall mode ${JSON.stringify(given)}: want strict or docker`);
  return mode;
}

/** `base=172.80.0.0/16,size=24`. */
function parsePoolFlag(given: string): { base: string; size: number } {
  const match = /^base=([^,]+),size=(\d+)$/.exec(given);
  if (match === null) throw invalid("default-address-pool", given, "base=CIDR,size=BITS");
  return { base: match[1] ?? "", size: Number(match[2]) };
}

/** `bridge=com.docker.network.driver.mtu=1400`. */
function parseNetworkDefaults(given: readonly string[]): Record<string, Record<string, string>> {
  const found: Record<string, Record<string, string>> = {};
  for (const each of given) {
    const [, driver, key, value] = /^([^=]+)=([^=]+)=(.*)$/.exec(each) ?? [];
    if (driver === undefined || key === undefined || value === undefined)
      throw invalid("default-network-opt", each, "DRIVER=OPTION=VALUE");
    found[driver] = { ...found[driver], [key]: value };
  }
  return found;
}
