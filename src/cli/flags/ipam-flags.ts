/** Pure. `--subnet`, `--ip-range`, `--gateway` and `--aux-address` of `network create`, as the API's IPAM config. */
import { Fault } from "#spec/fault.ts";

export interface IpamFlags {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  /** Name to address. */
  readonly auxiliary: Readonly<Record<string, string>>;
}

export interface IpamConfig {
  Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

/** Each range, gateway and address belongs to the subnet it lies in. @throws Fault `invalid` in docker's words. */
export function ipamConfig({ subnets, ranges, gateways, auxiliary }: IpamFlags): IpamConfig[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    throw new Fault("invalid", "every ip-range or gateway must have a corresponding subnet");
  const configs = subnets.map((Subnet): IpamConfig => ({ Subnet }));
  for (const [index, { Subnet }] of configs.entries())
    for (const other of configs.slice(0, index))
      if (holds(Subnet, other.Subnet) || holds(other.Subnet, Subnet))
        throw new Fault("invalid", "multiple overlapping subnet configuration is not supported");
  for (const range of ranges) {
    const config = owner(configs, range, "range");
    if (config.IPRange !== undefined)
      throw new Fault(
        "invalid",
        `cannot configure multiple ranges (${range}, ${config.IPRange}) on the same subnet (${config.Subnet})`,
      );
    config.IPRange = range;
  }
  for (const gateway of gateways) {
    const config = owner(configs, gateway, "gateway");
    if (config.Gateway !== undefined)
      throw new Fault(
        "invalid",
        `cannot configure multiple gateways (${gateway}, ${config.Gateway}) for the same subnet (${config.Subnet})`,
      );
    config.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const config = owner(configs, address, "aux-address");
    config.AuxiliaryAddresses = { ...config.AuxiliaryAddresses, [name]: address };
  }
  return configs;
}

function owner(configs: readonly IpamConfig[], address: string, what: string): IpamConfig {
  const found = configs.find(({ Subnet }) => holds(Subnet, address));
  if (found === undefined) throw new Fault("invalid", `no matching subnet for ${what} ${address}`);
  return found;
}

/** Whether the first address of `inner`, an address or a subnet, lies in `subnet`. */
function holds(subnet: string, inner: string): boolean {
  const [network, length] = bits(subnet);
  const [address] = bits(inner);
  return network.length === address.length && network.slice(0, length) === address.slice(0, length);
}

/** As text of zeros and ones, with how many of them count. @throws Fault `invalid`. */
function bits(text: string): [digits: string, length: number] {
  const [address = "", prefix] = text.split("/");
  const parts = address.includes(":") ? groups(address) : address.split(".").map(Number);
  const width = address.includes(":") ? 16 : 8;
  const valid =
    parts.length === (width === 16 ? 8 : 4) && parts.every((each) => each >= 0 && each < 2 ** width);
  if (!valid) throw new Fault("invalid", `invalid CIDR address: ${text}`);
  const digits = parts.map((each) => each.toString(2).padStart(width, "0")).join("");
  return [digits, prefix === undefined ? digits.length : Number(prefix)];
}

/** Of an IPv6 address (RFC 4291, section 2.2). */
function groups(address: string): number[] {
  const [before = "", after] = address.split("::");
  const parse = (text: string) =>
    text === "" ? [] : text.split(":").map((each) => Number.parseInt(each, 16));
  const [head, tail] = [parse(before), parse(after ?? "")];
  const zeros = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  return [...head, ...Array<number>(zeros).fill(0), ...tail];
}
