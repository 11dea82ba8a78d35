/** Pure. What `wherryd` is told by its command line and its configuration file: dockerd's names and meanings. */
import * as v from "valibot";
import type { RegistryOptions } from "#registry/client/registry-options.ts";
import { Fault } from "#spec/fault.ts";
import { goDurationOrNone } from "#spec/go-duration.ts";
import { checkLogConfig, type LogConfig } from "#telemetry/log-config.ts";
import { builderFileEntries, decideCacheBytes } from "./builder-options.ts";
import {
  decideNetwork,
  type NetworkFlags,
  networkFileEntries,
  networkFlags,
  networkSwitches,
} from "./network-flags.ts";
import { decideRegistry, registryFileEntries, registryFlags } from "./registry-flags.ts";
import { decideTls, type TlsFiles, tlsFileEntries, tlsFlags, tlsSwitches } from "./tls-flags.ts";

export interface DaemonOptions {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly hosts: readonly string[];
  readonly pidFile: string | undefined;
  readonly network: NetworkFlags;
  readonly labels: readonly string[];
  readonly logConfig: LogConfig;
  readonly registry: RegistryOptions;
  /** The registry that the engine serves itself. */
  readonly served: { readonly address: string; readonly configFile: string | undefined } | undefined;
  readonly cdiDirectories: readonly string[] | undefined;
  /** Containers get an init that do not say whether they want one. */
  readonly init: boolean;
  readonly initPath: string | undefined;
  /** See `decideCacheBytes`. */
  readonly buildCacheBytes: number | undefined;
  /** How long removed volumes can be had back, milliseconds. */
  readonly volumeTrashMs: number;
  readonly debug: boolean;
  /** Of tcp:// hosts. */
  readonly tls: TlsFiles | undefined;
  readonly help: boolean;
  readonly version: boolean;
}

/** Keys of the file, by flag; `many` flags may be repeated and are lists in the file. */
const flags = {
  "data-root": { key: "data-root", many: false },
  "exec-root": { key: "exec-root", many: false },
  host: { key: "hosts", many: true },
  pidfile: { key: "pidfile", many: false },
  label: { key: "labels", many: true },
  "log-driver": { key: "log-driver", many: false },
  "cdi-spec-dir": { key: "cdi-spec-dirs", many: true },
  "init-path": { key: "init-path", many: false },
  "log-level": { key: "log-level", many: false },
  "log-opt": { key: "log-opts", many: true },
  "volume-trash": { key: "volume-trash", many: false },
  ...networkFlags,
  ...registryFlags,
  ...tlsFlags,
} as const;
type FlagName = keyof typeof flags;

const shorthands: Readonly<Record<string, string>> = {
  H: "host",
  p: "pidfile",
  D: "debug",
  v: "version",
  h: "help",
};

const fileSchema = v.strictObject({
  "data-root": v.optional(v.string()),
  "exec-root": v.optional(v.string()),
  hosts: v.optional(v.array(v.string())),
  pidfile: v.optional(v.string()),
  labels: v.optional(v.array(v.string())),
  "log-driver": v.optional(v.string()),
  "cdi-spec-dirs": v.optional(v.array(v.string())),
  init: v.optional(v.boolean()),
  "init-path": v.optional(v.string()),
  "log-level": v.optional(v.string()),
  "log-opts": v.optional(v.record(v.string(), v.string())),
  "volume-trash": v.optional(v.string()),
  debug: v.optional(v.boolean()),
  /** Containers always outlive the engine here. */
  "live-restore": v.optional(v.boolean()),
  ...builderFileEntries,
  ...networkFileEntries,
  ...registryFileEntries,
  ...tlsFileEntries,
});
type FileOptions = v.InferOutput<typeof fileSchema>;

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"];

export interface CommandLine {
  readonly values: Readonly<Partial<Record<FlagName, readonly string[]>>>;
  /** Those that are on, and `no-NAME` for those that are said to be off. */
  readonly switches: ReadonlySet<string>;
  readonly configFile: string | undefined;
}

const switchNames: readonly string[] = [
  ...["help", "version", "debug", "init", "live-restore"],
  ...networkSwitches,
  ...tlsSwitches,
];

/** @throws Fault `invalid` for a flag nobody knows, or one without its value. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const values: Partial<Record<FlagName, string[]>> = {};
  const switches = new Set<string>();
  let configFile: string | undefined;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const match = /^(?:--([a-z][a-z0-9-]*)|-([a-zA-Z]))(?:=(.*))?$/s.exec(arg);
    const name = match?.[1] ?? shorthands[match?.[2] ?? ""];
    if (name === undefined) throw new Fault("invalid", `unknown argument ${arg}: see 'wherryd --help'`);
    if (switchNames.includes(name)) {
      switches.add(match?.[3] === "false" ? `no-${name}` : name);
      continue;
    }
    const value = match?.[3] ?? rest.shift();
    if (value === undefined) throw new Fault("invalid", `flag needs an argument: --${name}`);
    if (name === "config-file") configFile = value;
    else if (isFlag(name)) values[name] = [...(values[name] ?? []), value];
    else throw new Fault("invalid", `unknown flag: --${name}: see 'wherryd --help'`);
  }
  return { values, switches, configFile };
}

function isFlag(name: string): name is FlagName {
  return Object.hasOwn(flags, name);
}

/** @throws Fault `invalid` naming the key. */
export function parseConfigFile(text: string, path: string): FileOptions {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid", `${path} is no JSON: ${Fault.from(cause).message}`, { cause });
  }
  const parsed = v.safeParse(fileSchema, given);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const key = v.getDotPath(issue) ?? String(issue.input);
  throw new Fault("invalid", `${path}: ${key}: ${issue.message}`);
}

/** @throws Fault `invalid` when something is said in both places, or cannot be. */
export function decideOptions(
  line: CommandLine,
  file: FileOptions,
  environment: Readonly<Record<string, string | undefined>>,
): DaemonOptions {
  for (const name of Object.keys(line.values) as FlagName[])
    if (file[flags[name].key] !== undefined)
      throw new Fault(
        "invalid",
        `the following directives are specified both as a flag and in the configuration file: ${name}: keep one of them`,
      );
  const one = (name: FlagName): string | undefined => {
    const value = line.values[name]?.at(-1) ?? file[flags[name].key];
    return typeof value === "string" ? value : undefined;
  };
  const level = one("log-level") ?? "info";
  if (!logLevels.includes(level))
    throw new Fault(
      "invalid",
      `invalid log level ${JSON.stringify(level)}: want one of ${logLevels.join(", ")}`,
    );
  const dataRoot = one("data-root") ?? "/var/lib/wherry";
  const execRoot = one("exec-root") ?? "/run/wherry";
  for (const path of [dataRoot, execRoot])
    if (!path.startsWith("/")) throw new Fault("invalid", `${path} is no absolute path`);
  return {
    dataRoot,
    execRoot,
    hosts: line.values.host ?? file.hosts ?? ["unix:///run/wherry/wherry.sock"],
    pidFile: one("pidfile"),
    network: decideNetwork(line.values, line.switches, file),
    labels: line.values.label ?? file.labels ?? [],
    logConfig: decideLogConfig(
      one("log-driver"),
      line.values["log-opt"]?.map(parseLogOption),
      file["log-opts"],
    ),
    registry: decideRegistry(line.values, file, environment),
    tls: decideTls(line.values, line.switches, file, environment),
    served: decideServed(one("registry"), one("registry-config")),
    cdiDirectories: line.values["cdi-spec-dir"] ?? file["cdi-spec-dirs"],
    init: line.switches.has("init") || file.init === true,
    initPath: one("init-path"),
    buildCacheBytes: decideCacheBytes(file),
    volumeTrashMs: decideTrash(one("volume-trash") ?? "24h"),
    debug: line.switches.has("debug") || file.debug === true || ["debug", "trace"].includes(level),
    help: line.switches.has("help"),
    version: line.switches.has("version"),
  };
}

function decideServed(address: string | undefined, configFile: string | undefined) {
  if (address !== undefined) return { address, configFile };
  if (configFile !== undefined)
    throw new Fault(
      "invalid",
      "--registry-config is for the engine's own registry: say --registry ADDRESS:PORT, too",
    );
  return undefined;
}

function decideTrash(text: string): number {
  const nanoseconds = goDurationOrNone(text);
  if (nanoseconds !== undefined && nanoseconds >= 0) return nanoseconds / 1e6;
  throw new Fault(
    "invalid",
    `invalid --volume-trash ${JSON.stringify(text)}: want how long removed volumes are kept, as in 24h or 90m, or 0`,
  );
}

function decideLogConfig(
  driver = "json-file",
  flagged: readonly (readonly [string, string])[] | undefined,
  filed: Readonly<Record<string, string>> = {},
): LogConfig {
  const decided = { Type: driver, Config: flagged === undefined ? filed : Object.fromEntries(flagged) };
  try {
    checkLogConfig(decided);
  } catch (cause) {
    throw new Fault("invalid", `failed to set log opts: ${Fault.from(cause).message}`, { cause });
  }
  return decided;
}

/** `max-size=10m`. */
function parseLogOption(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new Fault("invalid", `invalid --log-opt ${JSON.stringify(text)}: want NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

export const usage = `Usage: wherryd [OPTIONS]

A container engine that speaks Docker's API.

      --bip CIDR                    Address and subnet of the default bridge
      --bip6 CIDR                   The same of IPv6, with --ipv6
      --cdi-spec-dir DIR            CDI specifications; may be repeated (default /etc/cdi, /var/run/cdi)
      --config-file FILE            Configuration (default /etc/wherry/daemon.json)
      --data-root DIR               What lasts (default /var/lib/wherry)
  -D, --debug                       Say more
      --default-address-pool POOL   base=CIDR,size=BITS; may be repeated
      --default-gateway ADDRESS     Way out of containers on the default bridge (default its own address)
      --default-gateway-v6 ADDRESS  The same of IPv6
      --default-network-opt OPTION  DRIVER=OPTION=VALUE of networks that do not say otherwise;
                                    may be repeated
      --dns ADDRESS                 Name server of containers; may be repeated
      --dns-opt OPTION              Of resolv.conf in containers; may be repeated
      --dns-search DOMAIN           Search domain of containers; may be repeated
      --exec-root DIR               What a reboot ends (default /run/wherry)
      --fixed-cidr CIDR             Where containers on the default bridge have their addresses from
      --fixed-cidr-v6 CIDR          The same of IPv6, with --ipv6; without --bip6, its subnet
      --firewall MODE               strict: the host's own filter decides about published ports too
                                    docker: they bypass it (default strict)
  -H, --host URL                    unix://PATH or tcp://ADDRESS:PORT; may be repeated
                                    (default unix:///run/wherry/wherry.sock)
      --host-gateway-ip ADDRESS     What host-gateway means; one of each family (default the
                                    default bridge's own)
      --http-proxy URL              Proxy for registries (default $HTTP_PROXY)
      --https-proxy URL             The same for HTTPS (default $HTTPS_PROXY)
      --insecure-registry HOST      HOST[:PORT] or CIDR that needs no certificate; may be repeated
      --icc                         Containers on the default bridge reach one another (default true)
      --init                        Give containers an init that do not say otherwise
      --init-path FILE              That init: a static program that takes -- COMMAND
      --ip ADDRESS                  Where ports are published that do not say (default 0.0.0.0)
      --ip-masq                     Containers on the default bridge leave by the host's addresses
                                    (default true)
      --ip6tables                   Rules for IPv6 (default true)
      --ipv6                        IPv6 on the default bridge
      --label KEY=VALUE             Label of this engine; may be repeated
      --live-restore                Accepted: containers always outlive the engine
      --log-driver DRIVER           Of containers that ask for none: json-file, local, none,
                                    journald, syslog, fluentd or gelf (default json-file)
      --log-level LEVEL             trace, debug, info, warn, error or fatal (default info)
      --log-opt NAME=VALUE          Option of the log driver; may be repeated
      --max-concurrent-downloads N  Blobs fetched at once (default 3)
      --max-concurrent-uploads N    Blobs sent at once (default 5)
      --max-download-attempts N     Of a transfer that breaks off (default 5)
      --mtu BYTES                   Of the default bridge (default 1500)
      --no-proxy LIST               Hosts that need no proxy (default $NO_PROXY)
  -p, --pidfile FILE                Where to write the process id
      --registry ADDRESS:PORT       Serve a registry there, kept beneath the data root
      --registry-auth-realm HOST    May be sent a registry's credentials for a token; may be repeated
      --registry-certs-dir DIR      Like /etc/docker/certs.d; may be repeated
      --registry-config FILE        What 'wherry registry serve --config' takes, for that registry
      --registry-mirror URL         Asked before Docker's registry, or REGISTRY=URL; may be repeated
      --tls                         TLS on tcp:// hosts; implied by --tlsverify
      --tlscacert FILE              Whose certificates clients must show (default ~/.docker/ca.pem)
      --tlscert FILE                The engine's certificate (default ~/.docker/cert.pem)
      --tlskey FILE                 Its key (default ~/.docker/key.pem)
      --tlsverify                   TLS, and clients must show a certificate
      --userland-proxy              Lead ports of IPv6 to containers of IPv4 (default true)
      --volume-trash DURATION       How long removed volumes can be had back by 'wherry undo': 24h, 90m,
                                    or 0 (default 24h)
  -v, --version                     Say the version and end
`;
