import type { SystemFacts } from "#api/engine-face.ts";
import { defaultMaskedPaths, defaultReadonlyPaths } from "#security/confinement.ts";
import type { InspectDefaults } from "./container-inspect.ts";

/** What `inspect` shows where a container leaves the choice to the engine. */
export function inspectDefaults(facts: SystemFacts): InspectDefaults {
  const { runtimeName, apparmorProfile } = facts;
  return {
    ...{ runtimeName, apparmorProfile },
    maskedPaths: defaultMaskedPaths,
    readonlyPaths: defaultReadonlyPaths,
  };
}
