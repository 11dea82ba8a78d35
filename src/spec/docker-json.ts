/**
 * How Go reads JSON, as valibot building blocks: a null is an absent field, unknown fields are dropped.
 * Pure.
 */
import * as v from "valibot";

/** A JSON object whose null fields count as absent; fields that are not listed are dropped. */
export function fields<Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    v.custom<Record<string, unknown>>(
      (value) => typeof value === "object" && value !== null && !Array.isArray(value),
      "Invalid type: Expected an object",
    ),
    v.transform(withoutNulls),
    v.object(entries),
  );
}

function withoutNulls(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

/** An optional field: absent or of the schema, never undefined. */
export const maybe = v.exactOptional;

export const text = maybe(v.string());
export const flag = maybe(v.boolean());
/** A whole number of any size. */
export const integer = maybe(v.pipe(v.number(), v.integer()));
/** A list of texts; one text alone is read as a list of it, as Go's `strslice` does. */
export const words = maybe(
  v.union([
    v.array(v.string()),
    v.pipe(
      v.string(),
      v.transform((word) => [word]),
    ),
  ]),
);
export const texts = maybe(v.array(v.string()));
/** To valibot a list is an object, too. */
const notList = v.custom<object>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "Invalid type: Expected an object",
);
/** Text to text; null as the empty text. */
export const textMap = maybe(
  v.pipe(
    notList,
    v.record(
      v.string(),
      v.pipe(
        v.nullable(v.string()),
        v.transform((value) => value ?? ""),
      ),
    ),
  ),
);
/** A set as Docker writes it: keys to empty objects. */
export const keySet = maybe(
  v.pipe(
    notList,
    v.record(
      v.string(),
      v.pipe(
        v.unknown(),
        v.transform((): Record<string, never> => ({})),
      ),
    ),
  ),
);
/** A health check, as containers and images have it. Nanoseconds. */
export const healthcheck = fields({
  Test: words,
  Interval: integer,
  Timeout: integer,
  StartPeriod: integer,
  StartInterval: integer,
  Retries: integer,
});
