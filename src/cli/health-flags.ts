/** Pure. `--health-…` and `--no-healthcheck`. */
import type { ContainerConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { FlagValues } from "./flag-values.ts";
import type { Flags } from "./flags.ts";
import { given } from "./resource-flags.ts";

type Healthcheck = NonNullable<ContainerConfig["Healthcheck"]>;

/** Undefined when nothing is said. @throws Fault `invalid` in docker's words. */
export function healthcheck(flags: Flags, values: FlagValues): Healthcheck | undefined {
  const command = flags.text("health-cmd") || undefined;
  const settings = {
    Interval: values.duration("health-interval"),
    Timeout: values.duration("health-timeout"),
    StartPeriod: values.duration("health-start-period"),
    StartInterval: values.duration("health-start-interval"),
    Retries: values.whole("health-retries"),
  };
  const asked = command !== undefined || Object.values(settings).some(Boolean);
  if (flags.on("no-healthcheck")) {
    if (asked) throw new Fault("invalid", "--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!asked) return undefined;
  for (const [name, value = 0] of Object.entries(settings))
    if (value < 0) throw new Fault("invalid", `--health-${flagNames[name]} cannot be negative`);
  return given<Healthcheck>({
    Test: command === undefined ? undefined : ["CMD-SHELL", command],
    ...settings,
  });
}

const flagNames: Readonly<Record<string, string>> = {
  Interval: "interval",
  Timeout: "timeout",
  StartPeriod: "start-period",
  StartInterval: "start-interval",
  Retries: "retries",
};
