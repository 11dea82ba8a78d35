/** Pure. Options of volumes of the `local` driver, as dockerd reads them: what is mounted in place of a plain directory. */
import { Fault } from "#spec/fault.ts";
import { parseByteSize } from "#spec/go-values.ts";

/** What a volume shows while a container has it. */
export interface LocalMount {
  readonly type: string;
  readonly device: string;
  /** As `mount -o` takes them. */
  readonly options: string;
}

const known = new Set(["type", "o", "device", "size"]);
const needs: Readonly<Record<string, readonly string[]>> = {
  device: ["type"],
  type: ["device"],
  o: ["device", "type"],
};

/** @throws Fault `invalid` in dockerd's words. */
export function checkLocalOptions(options: Readonly<Record<string, string>>): void {
  for (const option of Object.keys(options))
    if (!known.has(option)) throw new Fault("invalid", `invalid option: ${JSON.stringify(option)}`);
  if (options["type"] === "cifs" && /^[a-z]+:\/\/[^/]*:\d/.test(options["device"] ?? ""))
    throw new Fault("invalid", "port not allowed in CIFS device URL, include 'port' in 'o='");
  if (sizeLimit(options) !== undefined && options["type"] !== undefined)
    throw new Fault(
      "unsupported",
      "size limits a plain volume: say it in 'o' for what is mounted in its place",
    );
  for (const [option, others] of Object.entries(needs))
    for (const other of others)
      if (options[option] !== undefined && options[other] === undefined)
        throw new Fault("invalid", `missing required option: ${JSON.stringify(other)}`);
}

/** How much a plain volume may hold, bytes; undefined without a limit. @throws Fault `invalid` in dockerd's words. */
export function sizeLimit(options: Readonly<Record<string, string>>): number | undefined {
  const { size } = options as { size?: string };
  return size === undefined ? undefined : parseByteSize(size, 1024) || undefined;
}

/** Undefined for a plain directory. */
export function localMount(options: Readonly<Record<string, string>>): LocalMount | undefined {
  const { type, device, o = "" } = options as { type?: string; device?: string; o?: string };
  return type === undefined || device === undefined ? undefined : { type, device, options: o };
}

/** The value of `addr=`, which the kernel wants as a number where mount's helpers take a name. */
export function addressOption(options: string): string | undefined {
  return options
    .split(",")
    .find((option) => option.startsWith("addr="))
    ?.slice("addr=".length);
}

/** A mount's error without the password of its options. */
export function withoutPassword(text: string): string {
  return text.replace(/password=[^,]*/, "password=********");
}
