/** Pure. Options of a bridge network: names and refusals as dockerd has them. */

import type { GatewayMode } from "#network/rules/ruleset.ts";
import { Fault } from "#spec/fault.ts";
import { canonicalAddress, type Family, families, familyOf, parseAddress } from "#spec/ip.ts";

export interface BridgeOptions {
  readonly name: string | undefined;
  readonly mtu: number | undefined;
  /** Containers on it reach one another. */
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** What containers appear as outside, when not the address of the interface they leave by. */
  readonly sources: Readonly<Record<Family, string | undefined>>;
  readonly modes: Readonly<Record<Family, GatewayMode>>;
  /** Interfaces of the host from which containers may be reached at their own addresses. */
  readonly trusted: readonly string[];
  /** Where ports are published when nothing is said. */
  readonly hostIp: string;
  /** The bridge has no address: somebody else is the gateway. */
  readonly inhibit: boolean;
  /** Of the interfaces in containers. */
  readonly interfacePrefix: string;
}

const own = "com.docker.network.";
export const bridgeOption = {
  name: `${own}bridge.name`,
  mtu: `${own}driver.mtu`,
  icc: `${own}bridge.enable_icc`,
  masquerade: `${own}bridge.enable_ip_masquerade`,
  hostIp: `${own}bridge.host_binding_ipv4`,
  source: `${own}host_ipv4`,
  source6: `${own}host_ipv6`,
  inhibit: `${own}bridge.inhibit_ipv4`,
  prefix: `${own}container_iface_prefix`,
  isDefault: `${own}bridge.default_bridge`,
  gatewayMode: `${own}bridge.gateway_mode_ipv4`,
  gatewayMode6: `${own}bridge.gateway_mode_ipv6`,
  trusted: `${own}bridge.trusted_host_interfaces`,
  ipv6: `${own}enable_ipv6`,
} as const;
/** An old name of the same. */
const legacyMtu = "mtu";
const linkNameMax = 15;

/** @throws Fault `invalid` in dockerd's words, `unsupported` for an option this engine does not know. */
export function bridgeOptions(options: Readonly<Record<string, string>>): BridgeOptions {
  for (const key of Object.keys(options)) refuse(key);
  const name = options[bridgeOption.name];
  const prefix = options[bridgeOption.prefix];
  return {
    name: name === undefined || name === "" ? undefined : linkName(name),
    mtu: mtuOption(options),
    icc: truth(options, bridgeOption.icc, true),
    masquerade: truth(options, bridgeOption.masquerade, true),
    sources: {
      4: address(options, bridgeOption.source, 4),
      6: address(options, bridgeOption.source6, 6),
    },
    modes: {
      4: gatewayMode(options, bridgeOption.gatewayMode),
      6: gatewayMode(options, bridgeOption.gatewayMode6),
    },
    trusted: (options[bridgeOption.trusted] ?? "")
      .split(":")
      .filter((each) => each !== "")
      .map((each) => linkName(each)),
    hostIp: address(options, bridgeOption.hostIp) ?? "0.0.0.0",
    inhibit: truth(options, bridgeOption.inhibit, false),
    interfacePrefix: prefix === undefined || prefix === "" ? "eth" : linkName(prefix, linkNameMax - 3),
  };
}

/** With what only the rest of a request can tell. @throws as `bridgeOptions`. */
export function checkGatewayModes(options: Readonly<Record<string, string>>, internal: boolean): void {
  const { modes } = bridgeOptions(options);
  for (const family of families)
    if (modes[family] === "isolated" && !internal)
      throw new Fault("invalid", "gateway mode 'isolated' can only be used for an internal network");
}

function gatewayMode(options: Readonly<Record<string, string>>, key: string): GatewayMode {
  const mode = options[key] ?? "";
  if (mode === "") return "nat";
  if (mode === "nat" || mode === "nat-unprotected" || mode === "routed" || mode === "isolated") return mode;
  throw new Fault("invalid", `unknown gateway mode ${mode}: want nat, nat-unprotected, routed or isolated`);
}

/** An old way to ask for IPv6. */
export function asksForIpv6(options: Readonly<Record<string, string>>): boolean {
  return isTrue(options[bridgeOption.ipv6] ?? "");
}

function refuse(key: string): void {
  const known: readonly string[] = Object.values(bridgeOption);
  if (key.startsWith(own) && !known.includes(key))
    throw new Fault("unsupported", `the option ${key} of a bridge network is not supported by this engine`);
}

function linkName(name: string, max = linkNameMax): string {
  if (name.length > max || !/^[^\s/:"'\\]+$/.test(name) || name === "." || name === "..")
    throw new Fault("invalid", `invalid interface name ${JSON.stringify(name)}: want at most ${max} letters`);
  return name;
}

/** Undefined for the usual one. @throws Fault `invalid` in dockerd's words. */
export function mtuOption(options: Readonly<Record<string, string>>): number | undefined {
  const key = options[bridgeOption.mtu] === undefined ? legacyMtu : bridgeOption.mtu;
  const text = options[key];
  if (text === undefined || text === "") return undefined;
  if (!/^-?\d+$/.test(text))
    throw new Fault(
      "invalid",
      `failed to parse ${key} value: ${text} (strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax)`,
    );
  const value = Number(text);
  // The least IPv4 works with (RFC 791), and the most the kernel takes.
  if (value !== 0 && (value < 68 || value > 65535)) throw new Fault("invalid", `invalid MTU number: ${text}`);
  return value === 0 ? undefined : value;
}

function truth(options: Readonly<Record<string, string>>, key: string, fallback: boolean): boolean {
  const text = options[key];
  if (text === undefined) return fallback;
  if (isTrue(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new Fault(
    "invalid",
    `failed to parse ${key} value: ${text} (strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax)`,
  );
}

function isTrue(text: string): boolean {
  return /^(?:1|t|T|true|TRUE|True)$/.test(text);
}

function address(
  options: Readonly<Record<string, string>>,
  key: string,
  family?: Family,
): string | undefined {
  const text = options[key];
  if (text === undefined || text === "") return undefined;
  if (parseAddress(text) === undefined || (family !== undefined && familyOf(text) !== family))
    throw new Fault("invalid", `failed to parse ${key} value: ${text} (nil ip)`);
  return canonicalAddress(text);
}
