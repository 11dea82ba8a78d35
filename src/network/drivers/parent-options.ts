/** Pure. Options of networks that live on an interface of the host: names and refusals as dockerd has them. */
import type { ChildKind } from "#kernel/network/child-links.ts";
import { mtuOption } from "#network/records/bridge-options.ts";
import { Fault } from "#spec/fault.ts";

export type ParentDriverName = ChildKind["kind"];

export interface ParentOptions {
  /** Undefined: the network is alone on an interface of its own, and leads nowhere. */
  readonly parent: string | undefined;
  /** `eth0.10`: what a sub-interface is made of where there is none of that name. */
  readonly vlan: { readonly parent: string; readonly id: number } | undefined;
  readonly kind: ChildKind;
  readonly mtu: number | undefined;
}

const mtuKey = "com.docker.network.driver.mtu";
const [macvlanModes, ipvlanModes, ipvlanFlags] = [
  ["bridge", "private", "vepa", "passthru"],
  ["l2", "l3", "l3s"],
  ["bridge", "private", "vepa"],
] as const;
const known: Readonly<Record<ParentDriverName, readonly string[]>> = {
  macvlan: ["parent", "macvlan_mode", mtuKey],
  ipvlan: ["parent", "ipvlan_mode", "ipvlan_flag", mtuKey],
};
const vlanMax = 4094;

/** @throws Fault `invalid` in dockerd's words, `unsupported` for an option this engine does not know. */
export function parentOptions(
  driver: ParentDriverName,
  options: Readonly<Record<string, string>>,
): ParentOptions {
  const strange = Object.keys(options).find((key) => !known[driver].includes(key));
  if (strange !== undefined)
    throw new Fault(
      "unsupported",
      `the option ${strange} of a ${driver} network is not supported by this engine: it knows ${known[driver].join(", ")}`,
    );
  const parent = options["parent"] || undefined;
  if (parent === "lo") throw new Fault("invalid", `loopback interface is not a valid ${driver} parent link`);
  if (parent !== undefined && !/^[^\s/:"'\\]{1,15}$/.test(parent))
    throw new Fault("invalid", `invalid interface name ${JSON.stringify(parent)}: want at most 15 letters`);
  return { parent, vlan: vlanOf(parent), kind: kindOf(driver, options), mtu: mtuOption(options) };
}

function kindOf(driver: ParentDriverName, options: Readonly<Record<string, string>>): ChildKind {
  if (driver === "macvlan") return { kind: driver, mode: choice(options, "macvlan_mode", macvlanModes) };
  return {
    kind: driver,
    mode: choice(options, "ipvlan_mode", ipvlanModes),
    flag: choice(options, "ipvlan_flag", ipvlanFlags),
  };
}

function choice<Name extends string>(
  options: Readonly<Record<string, string>>,
  key: string,
  names: readonly [Name, ...Name[]],
): Name {
  const text = options[key] ?? "";
  const found = text === "" ? names[0] : names.find((each) => each === text);
  if (found !== undefined) return found;
  const [driver = "", what = ""] = key.split("_");
  throw new Fault(
    "invalid",
    `requested ${driver} ${what} '${text}' is not valid, '${names[0]}' ${what} is the ${driver} driver default`,
  );
}

/** @throws Fault `invalid` for what looks like a sub-interface and is none. */
function vlanOf(parent: string | undefined): ParentOptions["vlan"] {
  const match = /^([^.]+)\.(.*)$/.exec(parent ?? "");
  if (match === null) return undefined;
  const [, name = "", text = ""] = match;
  const id = Number(text);
  if (!/^\d+$/.test(text)) return undefined;
  if (id < 1 || id > vlanMax)
    throw new Fault("invalid", `vlan id must be between 1-${vlanMax}, received: ${text}`);
  return { parent: name, id };
}
