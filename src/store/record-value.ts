/**
 * Pure. Values as the records keep them: JSON, and a form of it for values with bigints in them.
 */
import { Fault } from "#spec/fault.ts";

const bigintKey = "$bigint";
/** No JSON text begins with it. */
const bigintMark = "B";

/** @throws Fault `internal` for what JSON cannot carry, such as `undefined` alone. */
export function encodeValue(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    text = bigintMark + JSON.stringify(value, replaceBigint);
  }
  if (text === undefined) throw new Fault("internal", `a record cannot be ${String(value)}`);
  return text;
}

function replaceBigint(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return { [bigintKey]: value.toString() };
  // What looks like the stand-in for a bigint must be one.
  if (isStandIn(value))
    throw new Fault("internal", `a record with bigints in it cannot have a key ${bigintKey}`);
  return value;
}

function isStandIn(value: unknown): value is { [bigintKey]: string } {
  return typeof value === "object" && value !== null && Object.hasOwn(value, bigintKey);
}

/** The value that `encodeValue` was given. @throws Fault `internal` for text it did not make. */
export function decodeValue(text: string): unknown {
  try {
    if (!text.startsWith(bigintMark)) return JSON.parse(text);
    return JSON.parse(text.slice(1), (_, value: unknown) =>
      isStandIn(value) ? BigInt(value[bigintKey]) : value,
    );
  } catch (cause) {
    throw new Fault("internal", `a record is damaged: ${text.slice(0, 80)}`, { cause });
  }
}
