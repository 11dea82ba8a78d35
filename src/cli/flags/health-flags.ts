/** Pure. `--health-…` and `--no-healthcheck`. */
import type { ContainerConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { FlagValues } from "./flag-values.ts";
import type { Flags } from "./flags.ts";
import { given } from "./resource-flags.ts";

type Healthcheck = NonNullable<ContainerConfig["Healthcheck"]>;

/** Undefined when nothing is said. @throws Fault `invalid` in docker's words. */
export function healthcheck(flags: Flags, values: FlagValues): Healthcheck | undefined {
  const test = testOf(flags);
  const settings = {
    Interval: values.duration("health-interval"),
    Timeout: values.duration("health-timeout"),
    StartPeriod: values.duration("health-start-period"),
    StartInterval: values.duration("health-start-interval"),
    Retries: values.whole("health-retries"),
  };
  const asked = test !== undefined || Object.values(settings).some(Boolean);
  if (flags.on("no-healthcheck")) {
    if (asked) throw new Fault("invalid", "--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!asked) return undefined;
  for (const [name, value = 0] of Object.entries(settings))
    if (value < 0) throw new Fault("invalid", `--health-${flagNames[name]} cannot be negative`);
  return given<Healthcheck>({
    Test: test,
    ...settings,
  });
}

/** One way of looking at most. */
function testOf(flags: Flags): string[] | undefined {
  const tests = Object.entries(kinds).flatMap(([flag, kind]) => {
    const text = flags.text(flag);
    return text === undefined || text === "" ? [] : [[kind, text]];
  });
  if (tests.length > 1)
    throw new Fault("invalid", "only one of --health-cmd, --health-http and --health-tcp can be given");
  return tests[0];
}

/** The last two are wherry's own: looks from outside that need no program in the image. */
const kinds = { "health-cmd": "CMD-SHELL", "health-http": "HTTP", "health-tcp": "TCP" } as const;

const flagNames: Readonly<Record<string, string>> = {
  Interval: "interval",
  Timeout: "timeout",
  StartPeriod: "start-period",
  StartInterval: "start-interval",
  Retries: "retries",
};
