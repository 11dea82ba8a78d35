import { describe, expect, test } from "bun:test";
import { decideOptions, parseCommandLine, parseConfigFile } from "./daemon-options.ts";

const decided = (args: readonly string[], file: object = {}) =>
  decideOptions(parseCommandLine(args), parseConfigFile(JSON.stringify(file), "daemon.json"), {}).logConfig;

describe("the log driver of containers that ask for none", () => {
  test("is json-file, or what flags or the file say", () => {
    expect(decided([])).toEqual({ Type: "json-file", Config: {} });
    expect(decided(["--log-driver=local", "--log-opt", "max-size=1m", "--log-opt=max-file=2"])).toEqual({
      Type: "local",
      Config: { "max-size": "1m", "max-file": "2" },
    });
    expect(decided([], { "log-driver": "journald", "log-opts": { tag: "{{.Name}}" } })).toEqual({
      Type: "journald",
      Config: { tag: "{{.Name}}" },
    });
  });

  test("is refused when it cannot be, or is said twice", () => {
    expect(() => decided(["--log-driver", "nosuch"])).toThrow(
      "failed to set log opts: error looking up logging plugin nosuch",
    );
    expect(() => decided(["--log-opt", "nosuch=1"])).toThrow(
      "unknown log opt 'nosuch' for json-file log driver",
    );
    expect(() => decided(["--log-opt", "nosuch"])).toThrow("want NAME=VALUE");
    expect(() => decided(["--log-driver", "local"], { "log-driver": "local" })).toThrow(
      "both as a flag and in the configuration file",
    );
    expect(() => decided([], { "log-opts": { "max-file": 3 } })).toThrow("log-opts");
  });
});
