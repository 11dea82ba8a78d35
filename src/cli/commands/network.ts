/** Commands about networks. */
import {
  type Command,
  filterFlag,
  filtersOf,
  forEach,
  formatFlag,
  noTruncFlag,
  quietFlag,
  write,
} from "#cli/flags/command.ts";
import { FlagValues, keyValues } from "#cli/flags/flag-values.ts";
import type { FlagSpec, Flags } from "#cli/flags/flags.ts";
import { ipamConfig } from "#cli/flags/ipam-flags.ts";
import { shownId } from "#cli/flags/units.ts";
import { formatRows } from "#cli/terminal/rows.ts";
import type { EndpointSettings } from "#spec/container.ts";
import type { NetworkInspect } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { printObjects } from "./inspect.ts";
import { audit } from "./network-audit.ts";

const headers = {
  ID: "NETWORK ID",
  Name: "NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  CreatedAt: "CREATED AT",
  IPv4: "IPV4",
  IPv6: "IPV6",
  Internal: "INTERNAL",
  Labels: "LABELS",
} as const;

function row(network: NetworkInspect, noTrunc: boolean) {
  return {
    CreatedAt: network.Created.replace("T", " ").replace(/Z$/, " +0000 UTC"),
    Driver: network.Driver,
    ID: shownId(network.Id, noTrunc),
    IPv4: String(network.EnableIPv4 ?? true),
    IPv6: String(network.EnableIPv6),
    Internal: String(network.Internal),
    Labels: Object.entries(network.Labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Name: network.Name,
    Scope: network.Scope,
  };
}

const ls: Command = {
  usage: "[OPTIONS]",
  flags: [filterFlag, formatFlag, noTruncFlag, quietFlag],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const list = await (await client()).networks.list(filtersOf(flags.list("filter")));
    const rows = list
      .map((network) => row(network, flags.on("no-trunc")))
      .sort((a, b) => (a.Name < b.Name ? -1 : 1));
    const columns = (["ID", "Name", "Driver", "Scope"] as const).map((field) => ({
      header: headers[field],
      field,
    }));
    const text = flags.on("quiet")
      ? rows.map(({ ID }) => `${ID}\n`).join("")
      : formatRows(rows, columns, { format: flags.text("format"), headers });
    await write(io.stdout, text);
    return 0;
  },
};

const inspect: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  flags: [
    { ...formatFlag, short: "f" },
    { name: "verbose", short: "v", kind: "switch", help: "Verbose output for diagnostics" },
  ],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const verbose = o.flags.on("verbose");
    return await printObjects(o, async (name) => await client.networks.inspect(name, { verbose }));
  },
};

const createFlags: readonly FlagSpec[] = [
  { name: "attachable", kind: "switch", help: "Enable manual container attachment" },
  {
    name: "aux-address",
    kind: "list",
    value: "map",
    help: "Auxiliary IPv4 or IPv6 addresses used by Network driver",
  },
  { name: "config-from", kind: "text", help: "The network from which to copy the configuration" },
  { name: "config-only", kind: "switch", help: "Create a configuration only network" },
  { name: "driver", short: "d", kind: "text", help: "Driver to manage the Network" },
  { name: "gateway", kind: "list", value: "strings", help: "IPv4 or IPv6 Gateway for the master subnet" },
  { name: "ingress", kind: "switch", help: "Create swarm routing-mesh network" },
  { name: "internal", kind: "switch", help: "Restrict external access to the network" },
  { name: "ip-range", kind: "list", value: "strings", help: "Allocate container ip from a sub-range" },
  { name: "ipam-driver", kind: "text", help: "IP Address Management Driver" },
  { name: "ipam-opt", kind: "list", value: "map", help: "Set IPAM driver specific options" },
  { name: "ipv4", kind: "switch", help: "Enable or disable IPv4 address assignment" },
  { name: "ipv6", kind: "switch", help: "Enable or disable IPv6 address assignment" },
  { name: "label", kind: "list", help: "Set metadata on a network" },
  { name: "opt", short: "o", kind: "list", value: "map", help: "Set driver specific options" },
  { name: "scope", kind: "text", help: "Control the network's scope" },
  {
    name: "subnet",
    kind: "list",
    value: "strings",
    help: "Subnet in CIDR format that represents a network segment",
  },
];

const create: Command = {
  usage: "[OPTIONS] NETWORK",
  flags: createFlags,
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const list = (name: string) => flags.list(name).flatMap((each) => each.split(","));
    const config = ipamConfig({
      subnets: list("subnet"),
      ranges: list("ip-range"),
      gateways: list("gateway"),
      auxiliary: keyValues(flags.list("aux-address")),
    });
    const from = flags.text("config-from");
    const { Id, Warning } = await (await client()).networks.create({
      Name: args[0] ?? "",
      Driver: flags.text("driver") ?? (flags.on("config-only") ? "" : "bridge"),
      Options: keyValues(flags.list("opt")),
      IPAM: {
        Driver: flags.text("ipam-driver") ?? "default",
        Options: keyValues(flags.list("ipam-opt")),
        Config: config,
      },
      Internal: flags.on("internal"),
      Attachable: flags.on("attachable"),
      Ingress: flags.on("ingress"),
      ConfigOnly: flags.on("config-only"),
      ...(flags.has("ipv4") && { EnableIPv4: flags.on("ipv4") }),
      ...(flags.has("ipv6") && { EnableIPv6: flags.on("ipv6") }),
      ...(flags.has("scope") && { Scope: flags.text("scope") ?? "" }),
      ...(from !== undefined && { ConfigFrom: { Network: from } }),
      Labels: keyValues(flags.list("label")),
    });
    if (Warning !== "") await write(io.stderr, `WARNING: ${Warning}\n`);
    await write(io.stdout, `${Id}\n`);
    return 0;
  },
};

const rm: Command = {
  usage: "NETWORK [NETWORK...]",
  flags: [{ name: "force", short: "f", kind: "switch", help: "Do not error if the network does not exist" }],
  least: 1,
  run: async (o) => {
    const client = await o.client();
    const force = o.flags.on("force");
    return await forEach(o, async (name) => {
      try {
        await client.networks.remove(name);
      } catch (thrown) {
        if (!force || Fault.from(thrown).kind !== "not-found") throw thrown;
      }
      return undefined;
    });
  },
};

const prune: Command = {
  usage: "[OPTIONS]",
  flags: [
    { ...filterFlag, short: "" },
    { name: "force", short: "f", kind: "switch", help: "Do not prompt for confirmation" },
  ],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const question =
      "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue? [y/N] ";
    const { confirmed } = await import("#cli/terminal/confirm.ts");
    if (!flags.on("force") && !(await confirmed(io, question))) return 0;
    const { NetworksDeleted } = await (await client()).networks.prune(filtersOf(flags.list("filter")));
    if (NetworksDeleted !== null && NetworksDeleted.length > 0)
      await write(io.stdout, `Deleted Networks:\n${NetworksDeleted.map((name) => `${name}\n`).join("")}\n`);
    return 0;
  },
};

const connectFlags: readonly FlagSpec[] = [
  { name: "alias", kind: "list", value: "strings", help: "Add network-scoped alias for the container" },
  { name: "driver-opt", kind: "list", value: "strings", help: "driver options for the network" },
  {
    name: "gw-priority",
    kind: "text",
    value: "int",
    help: "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
  },
  { name: "ip", kind: "text", help: 'IPv4 address (e.g., "172.30.100.104")' },
  { name: "ip6", kind: "text", help: 'IPv6 address (e.g., "2001:db8::33")' },
  { name: "link", kind: "list", help: "Add link to another container" },
  {
    name: "link-local-ip",
    kind: "list",
    value: "strings",
    help: "Add a link-local address for the container",
  },
];

function endpointOf(flags: Flags): EndpointSettings {
  const priority = new FlagValues(flags, connectFlags).whole("gw-priority");
  const [ip, ip6] = [flags.text("ip"), flags.text("ip6")];
  const addresses = {
    ...(ip !== undefined && { IPv4Address: ip }),
    ...(ip6 !== undefined && { IPv6Address: ip6 }),
    ...(flags.has("link-local-ip") && { LinkLocalIPs: [...flags.list("link-local-ip")] }),
  };
  const options = flags.list("driver-opt");
  if (options.some((each) => each.indexOf("=") <= 0))
    throw new Fault("invalid", "invalid key/value pair format in driver options");
  return {
    IPAMConfig: addresses,
    Links: [...flags.list("link")],
    Aliases: [...flags.list("alias")],
    DriverOpts: keyValues(options),
    ...(priority !== undefined && { GwPriority: priority }),
  };
}

const connect: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: connectFlags,
  least: 2,
  most: 2,
  run: async ({ args: [network = "", container = ""], client, flags }) => {
    const settings = endpointOf(flags);
    await (await client()).networks.connect(network, { Container: container, EndpointConfig: settings });
    return 0;
  },
};

const disconnect: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: [
    {
      name: "force",
      short: "f",
      kind: "switch",
      help: "Force the container to disconnect from a network",
    },
  ],
  least: 2,
  most: 2,
  run: async ({ args: [network = "", container = ""], client, flags }) => {
    await (await client()).networks.disconnect(network, { Container: container, Force: flags.on("force") });
    return 0;
  },
};

const trace: Command = {
  usage: "[OPTIONS] CONTAINER NAME",
  flags: [
    formatFlag,
    { name: "type", kind: "text", value: "string", help: "Address to look for: A or AAAA (default A)" },
  ],
  least: 2,
  most: 2,
  run: async ({ args: [container = "", name = ""], client, flags, io }) => {
    const type = flags.text("type") ?? "A";
    const found = await (await client()).networks.trace(container, { name, type });
    const rows = found.Steps.map(({ Asked, Source, Outcome, Answers }) => ({
      ...{ Asked, Source, Outcome },
      Answers: Answers.join(", "),
    }));
    const labels = { Asked: "ASKED", Source: "SOURCE", Outcome: "OUTCOME", Answers: "ANSWERS" };
    const columns = (["Asked", "Source", "Outcome", "Answers"] as const).map((field) => ({
      header: labels[field],
      field,
    }));
    await write(io.stdout, formatRows(rows, columns, { format: flags.text("format"), headers: labels }));
    return found.Addresses.length > 0 ? 0 : 1;
  },
};

export const commands: Readonly<Record<string, Command>> = {
  ls,
  inspect,
  create,
  rm,
  prune,
  connect,
  disconnect,
  trace,
  audit,
};
