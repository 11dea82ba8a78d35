/** Pure. `--network` and the flags beside it, as the API's network mode and endpoints. */
import type { EndpointSettings } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { csvFields } from "./csv.ts";
import { keyValues } from "./flag-values.ts";
import type { Flags } from "./flags.ts";

interface Attachment {
  readonly target: string;
  readonly settings: EndpointSettings;
}

export interface NetworkRequest {
  readonly mode: string;
  readonly endpoints: Record<string, EndpointSettings>;
}

/** @throws Fault `invalid` in docker's words. */
export function networkRequest(flags: Flags): NetworkRequest {
  const given = [...flags.list("network"), ...flags.list("net")].map(parseNetworkFlag);
  if (given.length === 0) {
    const settings = withFlags({ target: "default", settings: {} }, flags);
    return { mode: "default", endpoints: isEmpty(settings) ? {} : { default: settings } };
  }
  const endpoints: Record<string, EndpointSettings> = {};
  for (const [index, attachment] of given.entries()) {
    const { target } = attachment;
    const settings = index === 0 ? withFlags(attachment, flags) : attachment.settings;
    checkScope(target, settings);
    if (endpoints[target] !== undefined)
      throw new Fault("invalid", `network ${JSON.stringify(target)} is specified multiple times`);
    if (given.length === 1 && isEmpty(settings)) continue;
    endpoints[target] = settings;
  }
  if (given.some(isUserDefined) && !given.every(isUserDefined))
    throw new Fault(
      "invalid",
      "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    );
  return { mode: given[0]?.target ?? "default", endpoints };
}

function isUserDefined({ target }: Pick<Attachment, "target">): boolean {
  return !/^(?:default|bridge|host|none|container:.*)$/.test(target);
}

function isEmpty(settings: EndpointSettings): boolean {
  return Object.keys(settings).length === 0;
}

function checkScope(target: string, { Aliases = [], Links = [] }: EndpointSettings): void {
  if (target.trim() === "") throw new Fault("invalid", "no name set for network");
  if (isUserDefined({ target })) return;
  if (Aliases?.length)
    throw new Fault("invalid", "network-scoped aliases are only supported for user-defined networks");
  if (Links?.length) throw new Fault("invalid", "links are only supported for user-defined networks");
}

/** The flags of before `--network` had fields speak of the first network. */
function withFlags({ target, settings }: Attachment, flags: Flags): EndpointSettings {
  const aliases = [...flags.list("network-alias"), ...flags.list("net-alias")];
  const links = isUserDefined({ target }) ? flags.list("link") : [];
  const [ip, ip6, mac] = [flags.text("ip"), flags.text("ip6"), flags.text("mac-address")];
  const local = flags.list("link-local-ip");
  const { IPAMConfig } = settings;
  const clash = (flag: string, what: string) =>
    new Fault("invalid", `conflicting options: cannot specify both --${flag} and per-network ${what}`);
  if (aliases.length > 0 && settings.Aliases?.length) throw clash("network-alias", "alias");
  if (ip !== undefined && IPAMConfig?.IPv4Address) throw clash("ip", "IPv4 address");
  if (ip6 !== undefined && IPAMConfig?.IPv6Address) throw clash("ip6", "IPv6 address");
  if (mac !== undefined && settings.MacAddress) throw clash("mac-address", "MAC address");
  if (local.length > 0 && IPAMConfig?.LinkLocalIPs?.length)
    throw clash("link-local-ip", "link-local IP addresses");
  const addresses = {
    ...IPAMConfig,
    ...(ip !== undefined && { IPv4Address: ip }),
    ...(ip6 !== undefined && { IPv6Address: ip6 }),
    ...(local.length > 0 && { LinkLocalIPs: [...local] }),
  };
  return {
    ...settings,
    ...(aliases.length > 0 && { Aliases: aliases }),
    ...(links.length > 0 && { Links: [...links] }),
    ...(Object.keys(addresses).length > 0 && { IPAMConfig: addresses }),
    ...(mac !== undefined && { MacAddress: checkedMac(mac) }),
  };
}

function checkedMac(text: string): string {
  if (!/^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text.trim()))
    throw new Fault("invalid", `${text} is not a valid mac address`);
  return text.trim();
}

/** A name, or fields as `name=mynet,alias=web,ip=10.0.0.2`. */
function parseNetworkFlag(spec: string): Attachment {
  if (!/\w+=\w+/.test(spec)) return { target: spec, settings: {} };
  let target = "";
  const settings: EndpointSettings = {};
  const ipam: NonNullable<EndpointSettings["IPAMConfig"]> = {};
  for (const field of csvFields(spec)) {
    const at = field.indexOf("=");
    if (at <= 0) throw new Fault("invalid", `invalid field ${field}`);
    const [key, value] = [
      field.slice(0, at).toLowerCase().trim(),
      field
        .slice(at + 1)
        .toLowerCase()
        .trim(),
    ];
    if (key === "name") target = value;
    else if (key === "alias") settings.Aliases = [...(settings.Aliases ?? []), value];
    else if (key === "ip") ipam.IPv4Address = value;
    else if (key === "ip6") ipam.IPv6Address = value;
    else if (key === "mac-address") settings.MacAddress = checkedMac(value);
    else if (key === "link-local-ip") ipam.LinkLocalIPs = [...(ipam.LinkLocalIPs ?? []), value];
    else if (key === "driver-opt") settings.DriverOpts = { ...settings.DriverOpts, ...driverOption(value) };
    else if (key === "gw-priority") settings.GwPriority = gatewayPriority(value);
    else throw new Fault("invalid", `invalid field key ${key}`);
  }
  if (target === "") throw new Fault("invalid", "network name/id is not specified");
  return { target, settings: { ...settings, ...(Object.keys(ipam).length > 0 && { IPAMConfig: ipam }) } };
}

function driverOption(text: string): Record<string, string> {
  if (text.indexOf("=") <= 0) throw new Fault("invalid", "invalid key value pair format in driver options");
  return keyValues([text]);
}

function gatewayPriority(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new Fault("invalid", `invalid gw-priority (${text}): invalid syntax`);
  return Number(text);
}
