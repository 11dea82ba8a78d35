/**
 * What a container's `LogConfig` says: which driver, which options, how much of the log is kept.
 * Pure. Owns: names of drivers and options, their checks in dockerd's words. Promises: what passes the check can be kept and
 * shipped as it says; wrong values are refused when the container is created, where dockerd waits for its start.
 */
import { Fault } from "#spec/fault.ts";
import { parseBoolean, parseByteSize, parseInteger } from "#spec/go-values.ts";
import { checkAttributeOptions } from "./log-attributes.ts";
import { parseFluentdOptions } from "./log-fluentd-options.ts";
import { parseGelfOptions } from "./log-gelf-options.ts";
import { checkSyslogOptions } from "./log-syslog-options.ts";

export interface LogConfig {
  readonly Type: string;
  readonly Config: Readonly<Record<string, string>>;
}

/** How much of a container's output is kept on this machine. */
export interface LogLimits {
  /** Of one file. */
  readonly maxBytes: number;
  /** The one being written included. */
  readonly maxFiles: number;
  /** Whether files that are no longer written are kept compressed. */
  readonly compress: boolean;
}

type Options = Readonly<Record<string, string>>;

/** `info` lists them; `none` is always there. */
export const logDrivers = ["fluentd", "gelf", "journald", "json-file", "local", "syslog"] as const;

const attributeOptions = ["env", "env-regex", "labels", "labels-regex", "tag"];
const fileOptions = ["max-file", "max-size", "compress"];
const cacheOptions = ["cache-disabled", "cache-max-file", "cache-max-size", "cache-compress"];
const everyDriversOptions = ["mode", "max-buffer-size", ...cacheOptions];

/** Docker's of `local`. */
const defaultLimits: LogLimits = { maxBytes: 20 << 20, maxFiles: 5, compress: true };
/** Docker has none, and fills disks; this is room for all that most containers ever say. */
const jsonFileDefaults: LogLimits = { maxBytes: 50 << 20, maxFiles: 5, compress: false };

interface Driver {
  readonly options: readonly string[];
  /** @throws Fault `invalid`. */
  readonly check: (options: Options) => unknown;
  readonly unknown: (option: string) => string;
}

const attributesOnly = [...attributeOptions];
const drivers: Readonly<Record<string, Driver>> = {
  "json-file": {
    options: [...attributeOptions, ...fileOptions],
    check: jsonFileLimits,
    unknown: unknownFor("json-file"),
  },
  local: {
    options: fileOptions,
    check: localLimits,
    unknown: (option) => `unknown log opt '${option}' for log driver local`,
  },
  journald: { options: attributesOnly, check: () => undefined, unknown: unknownFor("journald") },
  syslog: {
    options: [
      ...attributeOptions,
      ...["syslog-address", "syslog-facility", "syslog-format"],
      ...["syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify"],
    ],
    check: checkSyslogOptions,
    unknown: unknownFor("syslog"),
  },
  fluentd: {
    options: [
      ...attributeOptions,
      ...["fluentd-address", "fluentd-async", "fluentd-async-reconnect-interval", "fluentd-buffer-limit"],
      ...["fluentd-max-retries", "fluentd-request-ack", "fluentd-retry-wait"],
      ...["fluentd-sub-second-precision", "fluentd-write-timeout"],
    ],
    check: parseFluentdOptions,
    unknown: unknownFor("fluentd"),
  },
  gelf: {
    options: [
      ...attributeOptions,
      ...["gelf-address", "gelf-compression-level", "gelf-compression-type"],
      ...["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"],
    ],
    check: parseGelfOptions,
    unknown: (option) => `unknown log opt ${JSON.stringify(option)} for gelf log driver`,
  },
};

function unknownFor(driver: string): Driver["unknown"] {
  return (option) => `unknown log opt '${option}' for ${driver} log driver`;
}

/** As requests and records have it: `HostConfig.LogConfig`. */
export interface AskedLogConfig {
  readonly Type?: string;
  readonly Config?: Options | null;
}

/** What a container asks for, completed by what the engine does by default (dockerd's `log-driver` and `log-opts`). */
export function mergeLogConfig(
  given: AskedLogConfig | undefined,
  engine: LogConfig,
): { Type: string; Config: Record<string, string> } {
  const type = given?.Type || engine.Type;
  const inherited = Object.entries(engine.Config).filter(
    ([option]) => type === engine.Type || cacheOptions.includes(option),
  );
  return { Type: type, Config: { ...Object.fromEntries(inherited), ...given?.Config } };
}

/** @throws Fault `invalid` for an unknown driver or option, or a value that cannot be. */
export function checkLogConfig({ Type, Config }: LogConfig): void {
  if (Type === "none") return;
  checkMode(Config);
  const disabled = Config["cache-disabled"] ?? "";
  if (disabled !== "" && !isBoolean(disabled))
    throw new Fault("invalid", `invalid value for option cache-disabled: ${disabled}`);
  const driver = drivers[Type];
  if (driver === undefined)
    throw new Fault(
      "invalid",
      `error looking up logging plugin ${Type}: plugin ${JSON.stringify(Type)} not found`,
    );
  for (const option of Object.keys(Config))
    if (!driver.options.includes(option) && !everyDriversOptions.includes(option))
      throw new Fault("invalid", driver.unknown(option));
  driver.check(Config);
  checkAttributeOptions(Config);
  cacheLimits(Config);
}

function checkMode(options: Options): void {
  const { mode = "", "max-buffer-size": buffer } = options;
  if (!["", "blocking", "non-blocking"].includes(mode))
    throw new Fault("invalid", `logger: logging mode not supported: ${mode}`);
  if (buffer === undefined) return;
  if (mode !== "non-blocking")
    throw new Fault("invalid", "logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  try {
    parseByteSize(buffer, 1024);
  } catch (cause) {
    throw new Fault("invalid", `error parsing option max-buffer-size: ${Fault.from(cause).message}`, {
      cause,
    });
  }
}

function isBoolean(text: string): boolean {
  try {
    parseBoolean(text);
    return true;
  } catch {
    return false;
  }
}

/** How much of the output stays on this machine, whatever the driver. */
export function logLimits(config: AskedLogConfig | undefined): LogLimits {
  const Type = config?.Type || "json-file";
  const Config = config?.Config ?? {};
  if (Type === "json-file") return jsonFileLimits(Config);
  // For those who are attached, and gone with the run: not worth compressing.
  if (Type === "none") return { ...defaultLimits, compress: false };
  return Type === "local" ? localLimits(Config) : cacheLimits(Config);
}

/** Docker's own default is one file without end. Options that are there mean what they mean in Docker. */
function jsonFileLimits(options: Options): LogLimits {
  const size = options["max-size"];
  const files = options["max-file"];
  const maxBytes = size === undefined ? jsonFileDefaults.maxBytes : parseByteSize(size, 1000);
  if (maxBytes <= 0) throw new Fault("invalid", "max-size must be a positive number");
  const unsaid = size === undefined ? jsonFileDefaults.maxFiles : 1;
  const maxFiles = files === undefined ? unsaid : parseInteger(files);
  if (maxFiles < 1) throw new Fault("invalid", "max-file cannot be less than 1");
  const compress = options["compress"] !== undefined && parseBoolean(options["compress"]);
  if (compress && ((files !== undefined && maxFiles === 1) || size === undefined || files === undefined))
    throw new Fault("invalid", "compress cannot be true when max-file is less than 2 or max-size is not set");
  return { maxBytes, maxFiles, compress };
}

function localLimits(options: Options, prefix = ""): LogLimits {
  const { [`${prefix}max-size`]: size, [`${prefix}max-file`]: files } = options;
  const compressed = options[`${prefix}compress`];
  const said = <T>(name: string, text: string, parse: () => T): T => {
    try {
      return parse();
    } catch (cause) {
      throw new Fault("invalid", `invalid value for ${name}: ${text}: ${Fault.from(cause).message}`, {
        cause,
      });
    }
  };
  const maxBytes =
    size === undefined ? defaultLimits.maxBytes : said("max-size", size, () => parseByteSize(size, 1000));
  const maxFiles =
    files === undefined ? defaultLimits.maxFiles : said("max-file", files, () => parseInteger(files));
  if (maxFiles < 0) throw new Fault("invalid", "max file count cannot be less than 0");
  const compress = compressed === undefined || said("compress", compressed, () => parseBoolean(compressed));
  if (compress && maxFiles <= 1)
    throw new Fault("invalid", "compression cannot be enabled when max file count is 1");
  // As in Docker's own, 0 is no limit said: then the default holds.
  return { maxBytes: maxBytes || defaultLimits.maxBytes, maxFiles: Math.max(1, maxFiles), compress };
}

/** Of drivers that send the output away: what stays here for `logs`, and until the receiver has it. */
function cacheLimits(options: Options): LogLimits {
  return localLimits(options, "cache-");
}

/** Whether what a run wrote is kept when it is over. */
export function outlivesRun(config: AskedLogConfig | undefined): boolean {
  return config?.Type !== "none";
}

/** Whether `logs` shows anything: everywhere but with `none`, and where the copy kept here is not wanted. */
export function isReadable(config: AskedLogConfig | undefined): boolean {
  const { Type = "", Config } = config ?? {};
  if (Type === "none") return false;
  const isFile = ["", "json-file", "local"].includes(Type);
  return isFile || !parseBoolean(Config?.["cache-disabled"] || "false");
}
