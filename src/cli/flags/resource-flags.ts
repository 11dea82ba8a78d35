/** Pure. Flags of limits, for `run`, `create` and `update`, in the API's words. */
import type { HostConfig, RestartPolicy, Ulimit } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { type FlagValues, parseWhole } from "./flag-values.ts";
import { parseCpus, parseSize } from "./units.ts";

/** What `update` can change. Only what was given is there. */
export function limitRequest(values: FlagValues): HostConfig {
  return given({
    BlkioWeight: values.parsed("blkio-weight", parseWeight),
    CpuPeriod: values.whole("cpu-period"),
    CpuQuota: values.whole("cpu-quota"),
    CpuRealtimePeriod: values.whole("cpu-rt-period"),
    CpuRealtimeRuntime: values.whole("cpu-rt-runtime"),
    CpuShares: values.whole("cpu-shares"),
    NanoCpus: values.parsed("cpus", parseCpus),
    CpusetCpus: values.parsed("cpuset-cpus", asIs),
    CpusetMems: values.parsed("cpuset-mems", asIs),
    Memory: values.bytes("memory"),
    MemoryReservation: values.bytes("memory-reservation"),
    MemorySwap: values.parsed("memory-swap", (value) => (value === "-1" ? -1 : parseSize(value))),
    PidsLimit: values.whole("pids-limit"),
  });
}

/** The same object without what is undefined. */
export function given<Type extends object>(
  fields: {
    [Key in keyof Type]: Type[Key] | undefined;
  },
): Type {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Type;
}

export function asIs(value: string): string {
  return value;
}

const weightMax = 65_535;

function parseWeight(value: string): number {
  const weight = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(weight <= weightMax))
    throw new Fault(
      "invalid",
      `strconv.ParseUint: parsing ${JSON.stringify(value)}: ${Number.isNaN(weight) ? "invalid syntax" : "value out of range"}`,
    );
  return weight;
}

/** `NAME[:RETRIES]`; which names there are is the engine's to say. @throws Fault `invalid` in docker's words. */
export function parseRestart(spec: string): RestartPolicy {
  const at = spec.indexOf(":");
  const [name, count] = at < 0 ? [spec, ""] : [spec.slice(0, at), spec.slice(at + 1)];
  if (at === 0) throw new Fault("invalid", "invalid restart policy format: no policy provided before colon");
  if (count !== "" && !/^[+-]?\d+$/.test(count))
    throw new Fault("invalid", "invalid restart policy format: maximum retry count must be an integer");
  return {
    Name: name as NonNullable<RestartPolicy["Name"]>,
    ...(count !== "" && { MaximumRetryCount: Number(count) }),
  };
}

const ulimitNames = new Set(
  "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  ),
);

/** `NAME=SOFT[:HARD]`. @throws Fault `invalid` in docker's words. */
export function parseUlimit(spec: string): Ulimit {
  const at = spec.indexOf("=");
  if (at < 0) throw new Fault("invalid", `invalid ulimit argument: ${spec}`);
  const [name, limits] = [spec.slice(0, at), spec.slice(at + 1).split(":")];
  if (!ulimitNames.has(name)) throw new Fault("invalid", `invalid ulimit type: ${name}`);
  const [soft = "", hard = soft] = limits;
  if (limits.length > 2)
    throw new Fault(
      "invalid",
      `too many limit value arguments - ${limits.join(":")}, can only have up to two, \`soft[:hard]\``,
    );
  const [Soft, Hard] = [parseWhole(soft), parseWhole(hard)];
  if (Hard !== -1 && (Soft > Hard || Soft === -1))
    throw new Fault(
      "invalid",
      `ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`,
    );
  return { Name: name, Soft, Hard };
}

/** One of each name, the last one given, by name. */
export function distinctUlimits(ulimits: readonly Ulimit[]): Ulimit[] {
  const byName = new Map(ulimits.map((each) => [each.Name ?? "", each]));
  return [...byName.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}
