/** Pure. `builder.gc` of the configuration file: what builds may keep. */
import * as v from "valibot";
import { Fault } from "#spec/fault.ts";

const size = v.optional(v.string());

/** dockerd's keys; it has had two names for the same bound, and policies, of which there are none here. */
export const builderFileEntries = {
  builder: v.optional(
    v.strictObject({
      gc: v.optional(
        v.strictObject({
          enabled: v.optional(v.boolean()),
          defaultKeepStorage: size,
          defaultReservedSpace: size,
          defaultMaxUsedSpace: size,
        }),
      ),
    }),
  ),
};

interface BuilderFile {
  readonly builder?:
    | {
        readonly gc?:
          | {
              readonly enabled?: boolean | undefined;
              readonly defaultKeepStorage?: string | undefined;
              readonly defaultReservedSpace?: string | undefined;
              readonly defaultMaxUsedSpace?: string | undefined;
            }
          | undefined;
      }
    | undefined;
}

/** Bytes the cache of builds may keep: infinite when nothing is to be collected, undefined for the builder's own bound. @throws Fault `invalid`. */
export function decideCacheBytes({ builder }: BuilderFile): number | undefined {
  const { enabled, defaultMaxUsedSpace, defaultReservedSpace, defaultKeepStorage } = builder?.gc ?? {};
  if (enabled === false) return Number.POSITIVE_INFINITY;
  const text = defaultMaxUsedSpace ?? defaultReservedSpace ?? defaultKeepStorage;
  if (text === undefined) return undefined;
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** " kmgtp".indexOf(unit.toLowerCase() || " "));
  if (number !== "" && bytes > 0) return bytes;
  throw new Fault("invalid", `invalid size of the build cache: ${JSON.stringify(text)}: want one like 20GB`);
}
