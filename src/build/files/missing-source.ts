/** A source that is not there, with the nearest name that is. */

import { suggestion } from "#build/language/suggest.ts";
import { Fault } from "#spec/fault.ts";
import { cleanPath } from "#spec/go-text.ts";

/** In BuildKit's words. `names` are what lies beside it. */
export function missingSource(path: string, names: readonly string[]): Fault {
  const shown = cleanPath(`/${path}`);
  const near = suggestion(shown.slice(shown.lastIndexOf("/") + 1), names);
  return new Fault(
    "not-found",
    `failed to compute cache key: failed to calculate checksum: ${JSON.stringify(shown)}: not found${near}`,
  );
}
