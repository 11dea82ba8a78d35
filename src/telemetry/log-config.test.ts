import { describe, expect, test } from "bun:test";
import { checkLogConfig, isReadable, logLimits, mergeLogConfig } from "./log-config.ts";
import { parseFluentdOptions } from "./log-fluentd-options.ts";
import { parseSyslogOptions } from "./log-syslog-options.ts";

const config = (Type: string, ...options: string[]) => ({
  Type,
  Config: Object.fromEntries(
    options.map((each) => [each.split("=", 1)[0], each.slice(each.indexOf("=") + 1)]),
  ),
});

describe("a log config that cannot be is refused in dockerd's words", () => {
  const cases: [string, string[], string][] = [
    ["nosuch", [], 'error looking up logging plugin nosuch: plugin "nosuch" not found'],
    ["json-file", ["nosuch=1"], "unknown log opt 'nosuch' for json-file log driver"],
    ["json-file", ["max-size=abc"], "invalid size: 'abc'"],
    ["json-file", ["max-size=-1"], "invalid size: '-1'"],
    ["json-file", ["max-size=0"], "max-size must be a positive number"],
    ["json-file", ["max-file=0"], "max-file cannot be less than 1"],
    ["json-file", ["max-file=x"], 'strconv.Atoi: parsing "x": invalid syntax'],
    [
      "json-file",
      ["compress=true"],
      "compress cannot be true when max-file is less than 2 or max-size is not set",
    ],
    ["json-file", ["compress=maybe"], 'strconv.ParseBool: parsing "maybe": invalid syntax'],
    ["json-file", ["mode=bad"], "logger: logging mode not supported: bad"],
    [
      "json-file",
      ["max-buffer-size=1m"],
      "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    ],
    [
      "local",
      ["mode=non-blocking", "max-buffer-size=zz"],
      "error parsing option max-buffer-size: invalid size: 'zz'",
    ],
    ["local", ["labels=a"], "unknown log opt 'labels' for log driver local"],
    ["local", ["max-file=1"], "compression cannot be enabled when max file count is 1"],
    ["local", ["max-size=-5k"], "invalid value for max-size: -5k: invalid size: '-5k'"],
    ["syslog", ["syslog-address=ftp://h:1"], "unsupported scheme: 'ftp'"],
    ["syslog", ["syslog-address=unix:///nonexist"], "stat /nonexist: no such file or directory"],
    ["syslog", ["syslog-facility=bad"], "invalid syslog facility"],
    ["syslog", ["syslog-format=bad"], "Invalid syslog format"],
    [
      "fluentd",
      ["fluentd-address=udp://1.2.3.4"],
      "invalid fluentd-address (udp://1.2.3.4): unsupported scheme: 'udp'",
    ],
    [
      "fluentd",
      ["fluentd-address=tcp://h/x"],
      "invalid fluentd-address (tcp://h/x): should not contain a path element",
    ],
    ["fluentd", ["fluentd-retry-wait=1"], 'time: missing unit in duration "1"'],
    ["fluentd", ["gelf-address=x"], "unknown log opt 'gelf-address' for fluentd log driver"],
    ["gelf", [], "gelf-address is a required parameter"],
    ["gelf", ["gelf-address=http://h:1"], "gelf: endpoint needs to be TCP or UDP"],
    ["gelf", ["gelf-address=udp://h"], "gelf: please provide gelf-address as proto://host:port"],
    [
      "gelf",
      ["gelf-address=tcp://h:1", "gelf-compression-type=gzip"],
      "compression is only supported on UDP",
    ],
    [
      "gelf",
      ["gelf-address=udp://h:1", "gelf-compression-type=x"],
      'unknown value "x" for log opt "gelf-compression-type" for gelf log driver',
    ],
    [
      "gelf",
      ["gelf-address=udp://h:1", "gelf-tcp-max-reconnect=1"],
      '"gelf-tcp-max-reconnect" is only valid for TCP',
    ],
    ["gelf", ["gelf-address=udp://h:1", "x=1"], 'unknown log opt "x" for gelf log driver'],
    ["journald", ["max-size=1m"], "unknown log opt 'max-size' for journald log driver"],
    ["json-file", ["cache-disabled=x"], "invalid value for option cache-disabled: x"],
    ["json-file", ["tag={{"], "template parsing error: template: :1: unclosed action"],
    ["json-file", ["tag={{.Bad}}"], `template: :1:2: executing "" at <.Bad>: can't evaluate field Bad`],
  ];
  for (const [driver, options, message] of cases)
    test(`${driver} ${options.join(" ")}`, () => {
      expect(() => checkLogConfig(config(driver, ...options))).toThrow(message);
    });

  test("a regular expression that is none", () => {
    expect(() => checkLogConfig(config("json-file", "env-regex=("))).toThrow("error parsing regexp: ");
  });
});

test("every driver takes its own options and those of all", () => {
  for (const [driver, ...options] of [
    ["none", "x=y"],
    [
      "json-file",
      "max-size=10m",
      "max-file=3",
      "compress=true",
      "labels=a,b",
      "env-regex=(?i)^x",
      "tag={{.Name}}/{{.ID}}",
    ],
    ["local", "max-size=1.5g", "max-file=1", "compress=false", "mode=non-blocking", "max-buffer-size=4m"],
    ["journald", "tag={{.ImageName}}", "labels=a"],
    ["syslog", "syslog-address=tcp+tls://[::1]:6514", "syslog-format=rfc5424micro", "syslog-facility=local3"],
    ["fluentd", "fluentd-address=h:1", "fluentd-async=true", "fluentd-async-reconnect-interval=500ms"],
    ["gelf", "gelf-address=tcp://h:1", "gelf-tcp-reconnect-delay=2", "cache-disabled=true"],
  ] as [string, ...string[]][])
    expect(() => checkLogConfig(config(driver, ...options))).not.toThrow();
});

test("a log is bounded also when nothing is said", () => {
  expect(logLimits(config("json-file"))).toEqual({ maxBytes: 50 << 20, maxFiles: 5, compress: false });
  expect(logLimits(config("json-file", "max-size=10k"))).toEqual({
    maxBytes: 10_000,
    maxFiles: 1,
    compress: false,
  });
  expect(logLimits(config("json-file", "max-file=3"))).toMatchObject({ maxBytes: 50 << 20, maxFiles: 3 });
  expect(logLimits(config("local"))).toEqual({ maxBytes: 20 << 20, maxFiles: 5, compress: true });
  expect(logLimits(config("syslog", "cache-max-size=1m", "cache-max-file=2"))).toMatchObject({
    maxBytes: 1_000_000,
    maxFiles: 2,
  });
});

test("what the engine says by default completes what a container asks for", () => {
  const engine = config("json-file", "max-size=1m", "cache-disabled=true");
  expect(mergeLogConfig(undefined, engine)).toEqual(engine);
  expect(mergeLogConfig({ Type: "", Config: { "max-size": "2m" } }, engine).Config["max-size"]).toBe("2m");
  expect(mergeLogConfig({ Type: "local" }, engine)).toEqual(config("local", "cache-disabled=true"));
});

test("logs can be read of every driver but none, unless the copy is not wanted", () => {
  expect(isReadable(config("none"))).toBe(false);
  expect(isReadable(config("syslog"))).toBe(true);
  expect(isReadable(config("syslog", "cache-disabled=true"))).toBe(false);
  expect(isReadable(config("json-file", "cache-disabled=true"))).toBe(true);
});

test("addresses and facilities", () => {
  expect(parseSyslogOptions({ "syslog-address": "udp://10.0.0.1" })).toMatchObject({
    address: { kind: "udp", host: "10.0.0.1", port: 514 },
    facility: 24,
  });
  expect(parseSyslogOptions({ "syslog-facility": "local7" }).facility).toBe(23 << 3);
  expect(parseFluentdOptions({}).address).toEqual({ kind: "tcp", host: "127.0.0.1", port: 24224 });
  expect(parseFluentdOptions({ "fluentd-address": "[::1]:5" }).address).toEqual({
    kind: "tcp",
    host: "::1",
    port: 5,
  });
});
