/** Limits of block devices: paths of devices, looked up for their numbers when a container starts. */
import { stat } from "node:fs/promises";
import { deviceNumbers } from "#runtime/devices/devices.ts";
import type { HostConfig, ThrottleDevice } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { OciBlockIo, OciThrottle } from "#spec/oci-runtime.ts";

/** Empty when nothing is limited. @throws Fault `invalid` for a device that is not there. */
export async function blockIoOf(host: HostConfig): Promise<OciBlockIo> {
  const weights = await Promise.all(
    (host.BlkioWeightDevice ?? []).map(async ({ Path = "", Weight = 0 }) => ({
      ...(await numbersOf(Path)),
      weight: Weight,
    })),
  );
  const [readBps, writeBps, readIops, writeIops] = await Promise.all([
    throttles(host.BlkioDeviceReadBps),
    throttles(host.BlkioDeviceWriteBps),
    throttles(host.BlkioDeviceReadIOps),
    throttles(host.BlkioDeviceWriteIOps),
  ]);
  return {
    ...(host.BlkioWeight !== undefined && host.BlkioWeight > 0 && { weight: host.BlkioWeight }),
    ...(weights.length > 0 && { weightDevice: weights }),
    ...(readBps.length > 0 && { throttleReadBpsDevice: readBps }),
    ...(writeBps.length > 0 && { throttleWriteBpsDevice: writeBps }),
    ...(readIops.length > 0 && { throttleReadIOPSDevice: readIops }),
    ...(writeIops.length > 0 && { throttleWriteIOPSDevice: writeIops }),
  };
}

async function throttles(devices: readonly ThrottleDevice[] | null | undefined): Promise<OciThrottle[]> {
  return await Promise.all(
    (devices ?? []).map(async ({ Path = "", Rate = 0 }) => ({ ...(await numbersOf(Path)), rate: Rate })),
  );
}

async function numbersOf(path: string): Promise<{ major: number; minor: number }> {
  try {
    return deviceNumbers((await stat(path)).rdev);
  } catch (cause) {
    throw new Fault("invalid", `stat ${path}: no such file or directory`, { cause });
  }
}
