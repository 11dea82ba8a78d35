/** Pure. `--device`, `--gpus` and the limits of devices, in the API's words. */
import { posix } from "node:path";
import type { DeviceMapping, DeviceRequest, ThrottleDevice } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { csvFields } from "./csv.ts";
import { keyValues } from "./flag-values.ts";
import { parseSize } from "./units.ts";

/** `VENDOR/CLASS=NAME`, by the Container Device Interface's specification. */
const cdiName =
  /^[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\/[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?=[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;

export function isCdiName(text: string): boolean {
  return cdiName.test(text);
}

function isMode(text: string): boolean {
  return /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
}

/** `HOST[:CONTAINER][:MODE]`. @throws Fault `invalid` in docker's words. */
export function parseDevice(spec: string): DeviceMapping {
  const parts = spec.split(":");
  const [host = "", second, third] = parts;
  if (parts.length > 3 || host === "") throw new Fault("invalid", `bad format for path: ${spec}`);
  if (third !== undefined && !isMode(third)) throw new Fault("invalid", `bad mode specified: ${third}`);
  const secondIsMode = second !== undefined && third === undefined && isMode(second);
  const inside = second === undefined || secondIsMode ? host : second;
  if (!inside.startsWith("/")) throw new Fault("invalid", `${inside} is not an absolute path`);
  const clean = second === undefined || secondIsMode ? posix.normalize(host) : host;
  return {
    PathOnHost: clean,
    PathInContainer: third === undefined ? posix.normalize(inside) : inside,
    CgroupPermissions: third ?? (secondIsMode ? second : "rwm"),
  };
}

/** `TYPE MAJOR:MINOR MODE`. */
export function parseDeviceRule(spec: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(spec))
    throw new Fault("invalid", `invalid device cgroup format '${spec}'`);
  return spec;
}

/** The requests of `--gpus`, and one for all CDI devices that `--device` names. */
export function deviceRequests(gpus: readonly DeviceRequest[], cdiNames: readonly string[]): DeviceRequest[] {
  return cdiNames.length === 0 ? [...gpus] : [...gpus, { Driver: "cdi", DeviceIDs: [...cdiNames] }];
}

/** `all`, a count, or fields as `device=0,capabilities=utility`. @throws Fault `invalid` in docker's words. */
export function parseGpus(spec: string): DeviceRequest {
  const request: DeviceRequest = {};
  const seen = new Set<string>();
  for (const field of csvFields(spec)) {
    const at = field.indexOf("=");
    const [key, value] = at < 0 ? ["count", field] : [field.slice(0, at), field.slice(at + 1)];
    if (seen.has(at < 0 ? field : key))
      throw new Fault("invalid", `gpu request key '${at < 0 ? field : key}' can be specified only once`);
    seen.add(key);
    seen.add(at < 0 ? field : key);
    if (key === "count") request.Count = gpuCount(value);
    else if (key === "driver") request.Driver = value;
    else if (key === "device") request.DeviceIDs = value.split(",");
    else if (key === "capabilities") request.Capabilities = [[...value.split(","), "gpu"]];
    else if (key === "options") request.Options = keyValues(csvFields(value));
    else throw new Fault("invalid", `unexpected key '${key}' in '${field}'`);
  }
  if (!seen.has("count") && request.DeviceIDs === undefined) request.Count = 1;
  return { ...request, Options: request.Options ?? {}, Capabilities: request.Capabilities ?? [["gpu"]] };
}

function gpuCount(text: string): number {
  if (text === "all") return -1;
  if (!/^[+-]?\d+$/.test(text))
    throw new Fault(
      "invalid",
      `invalid count (${text}): value must be either "all" or an integer: invalid syntax`,
    );
  return Number(text);
}

/** `/dev/PATH:VALUE`. */
function deviceValue(spec: string): [path: string, value: string] {
  const at = spec.indexOf(":");
  if (at <= 0) throw new Fault("invalid", `bad format: ${spec}`);
  if (!spec.startsWith("/dev/")) throw new Fault("invalid", `bad format for device path: ${spec}`);
  return [spec.slice(0, at), spec.slice(at + 1)];
}

/** A rate in bytes per second. */
export function parseByteRate(spec: string): ThrottleDevice {
  const [Path, value] = deviceValue(spec);
  try {
    return { Path, Rate: parseSize(value) };
  } catch (cause) {
    throw new Fault(
      "invalid",
      `invalid rate for device: ${spec}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
      { cause },
    );
  }
}

/** A rate in operations per second. */
export function parseOperationRate(spec: string): ThrottleDevice {
  const [Path, value] = deviceValue(spec);
  if (!/^\d{1,15}$/.test(value))
    throw new Fault(
      "invalid",
      `invalid rate for device: ${spec}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    );
  return { Path, Rate: Number(value) };
}

export function parseDeviceWeight(spec: string): { Path: string; Weight: number } {
  const [Path, value] = deviceValue(spec);
  const Weight = /^\d{1,5}$/.test(value) ? Number(value) : -1;
  if (Weight !== 0 && (Weight < 10 || Weight > 1000))
    throw new Fault("invalid", `invalid weight for device: ${spec}`);
  return { Path, Weight };
}
