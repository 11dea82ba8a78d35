/**
 * Pure. Extended headers of POSIX tar ("pax"): records `LENGTH KEY=VALUE\n`, keys and values of any bytes.
 */
import { Fault } from "#spec/fault.ts";
import { tarLimit } from "./tar-entry.ts";

/** In the order of the archive, repeated keys included: sparse maps of GNU's format 0.0 repeat theirs. */
export type PaxRecords = readonly (readonly [key: string, value: Buffer])[];

const damaged = "the archive is damaged: an extended header cannot be read";

/** Keys have one character a byte. @throws Fault `invalid`. */
export function decodePax(body: Buffer): PaxRecords {
  const records: [string, Buffer][] = [];
  for (let at = 0; at < body.length; ) {
    // Some programs fill up with zeros.
    if (body[at] === 0) break;
    const blank = body.indexOf(0x20, at);
    const length = blank < 0 ? Number.NaN : Number(body.toString("latin1", at, blank));
    const end = at + length;
    if (!Number.isSafeInteger(length) || end > body.length || end - 1 <= blank || body[end - 1] !== 0x0a)
      throw new Fault("invalid", damaged);
    const equals = body.indexOf(0x3d, blank);
    if (equals < 0 || equals >= end) throw new Fault("invalid", damaged);
    records.push([body.toString("latin1", blank + 1, equals), body.subarray(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** The body of an extended header. */
export function encodePax(records: PaxRecords): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.byteLength(key, "latin1") + value.length + 3;
      let length = rest + String(rest).length;
      if (String(length).length > String(rest).length) length = rest + String(length).length;
      return Buffer.concat([Buffer.from(`${length} ${key}=`, "latin1"), value, Buffer.from("\n")]);
    }),
  );
}

const billion = 1_000_000_000n;

/** `1234.5`, `-1.25` … as nanoseconds, digits past the ninth cut off. @throws Fault `invalid`. */
export function parsePaxTime(value: Buffer): bigint {
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(value.toString("latin1"));
  const [, sign, seconds = "", fraction = ""] = match ?? [];
  if (match === null) throw new Fault("invalid", damaged);
  const nano = BigInt(seconds) * billion + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign === "-" ? -nano : nano;
}

export function formatPaxTime(nano: bigint): string {
  const [sign, value] = nano < 0n ? ["-", -nano] : ["", nano];
  const fraction = (value % billion).toString().padStart(9, "0").replace(/0+$/, "");
  return `${sign}${value / billion}${fraction === "" ? "" : `.${fraction}`}`;
}

/** A decimal of a size or an owner. @throws Fault `invalid`. */
export function parsePaxNumber(value: Buffer): number {
  const text = value.toString("latin1");
  const parsed = Number(text);
  if (!/^-?\d{1,16}$/.test(text) || !Number.isSafeInteger(parsed)) throw new Fault("invalid", damaged);
  return parsed;
}

const schilyPrefix = "SCHILY.xattr.";
const libarchivePrefix = "LIBARCHIVE.xattr.";

/** The extended attributes among the records, as star and GNU tar write them, or as bsdtar does. @throws Fault `invalid`. */
export function xattrsOf(records: PaxRecords): ReadonlyMap<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>();
  for (const [key, value] of records) {
    if (key.startsWith(schilyPrefix)) xattrs.set(key.slice(schilyPrefix.length), value);
    else if (key.startsWith(libarchivePrefix)) {
      const name = unescapePercent(key.slice(libarchivePrefix.length));
      if (!xattrs.has(name)) xattrs.set(name, Buffer.from(value.toString("latin1"), "base64"));
    }
  }
  if (xattrs.size > tarLimit.xattrs)
    throw new Fault("invalid", `a file in the archive has more than ${tarLimit.xattrs} attributes`);
  for (const name of xattrs.keys())
    if (name.length > tarLimit.xattrNameBytes)
      throw new Fault(
        "invalid",
        `the name of an attribute in the archive has more than ${tarLimit.xattrNameBytes} bytes`,
      );
  for (const [name, value] of xattrs)
    if (value.length > tarLimit.xattrBytes)
      throw new Fault(
        "invalid",
        `the attribute ${name} in the archive has more than ${tarLimit.xattrBytes} bytes`,
      );
  return xattrs;
}

export function xattrRecord(name: string, value: Uint8Array): readonly [string, Buffer] {
  return [schilyPrefix + name, Buffer.from(value)];
}

function unescapePercent(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
