/** Pure. `DeviceRequests` as names of CDI devices: by name, or a number of GPUs of a vendor this machine has. */
import type { DeviceRequest } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

const gpuVendors = ["nvidia.com", "amd.com"] as const;
const driverVendors: Readonly<Record<string, string>> = { nvidia: "nvidia.com", amd: "amd.com" };

/** `kinds` are those of the machine's CDI specifications. @throws Fault `invalid` in Docker's words when none fits. */
export function cdiNames(requests: readonly DeviceRequest[], kinds: ReadonlySet<string>): string[] {
  return requests.flatMap((request) => (request.Driver === "cdi" ? byName(request) : gpus(request, kinds)));
}

function byName({ Count = 0, Options, DeviceIDs }: DeviceRequest): string[] {
  if (Count !== 0) throw new Fault("invalid", "unexpected count in CDI device request");
  if (Object.keys(Options ?? {}).length > 0)
    throw new Fault("invalid", "unexpected options in CDI device request");
  return [...(DeviceIDs ?? [])];
}

function gpus(request: DeviceRequest, kinds: ReadonlySet<string>): string[] {
  const { Driver = "", Count = 0, DeviceIDs, Capabilities } = request;
  const wantsGpu = Capabilities?.some((set) => set.includes("gpu")) === true;
  const vendors = Driver === "" ? (wantsGpu ? gpuVendors : []) : [driverVendors[Driver] ?? ""];
  const vendor = vendors.find((each) => kinds.has(`${each}/gpu`));
  if (vendor === undefined)
    throw new Fault(
      "invalid",
      `could not select device driver ${JSON.stringify(Driver)} with capabilities: ${shown(Capabilities ?? [])}`,
    );
  const named = DeviceIDs ?? [];
  if (named.length > 0) return named.map((id) => `${vendor}/gpu=${id}`);
  if (Count < 0) return [`${vendor}/gpu=all`];
  return Array.from({ length: Count }, (_, index) => `${vendor}/gpu=${index}`);
}

/** As Go prints lists of lists. */
function shown(sets: readonly (readonly string[])[]): string {
  return `[${sets.map((set) => `[${set.join(" ")}]`).join(" ")}]`;
}
