/** Volumes that plugins keep and nobody made here: in lists, as dockerd shows them. */
import { Fault } from "#spec/fault.ts";
import type { Plugins } from "./plugins.ts";
import type { VolumeRecord } from "./volume-record.ts";

/** How long a list waits for a plugin; all are asked at once. */
export const listMillisecondsMax = 5_000;

export async function pluginVolumes(
  plugins: Pick<Plugins, "names" | "driver">,
  known: ReadonlySet<string>,
  signal: AbortSignal,
  bound = listMillisecondsMax,
): Promise<{ readonly volumes: VolumeRecord[]; readonly warnings: string[] }> {
  const volumes: VolumeRecord[] = [];
  const warnings: string[] = [];
  await Promise.all(
    plugins.names().map(async (name) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(bound)]);
      try {
        const driver = await plugins.driver(name, limit);
        for (const each of await driver.list(limit))
          if (!known.has(each.name)) volumes.push({ ...each, driver: name, options: {}, labels: {} });
      } catch (thrown) {
        signal.throwIfAborted();
        const { kind, message } = Fault.from(thrown);
        // A plugin of another kind.
        if (kind === "not-found") return;
        const why = limit.aborted ? `no answer within ${bound / 1000} s, look whether it runs` : message;
        warnings.push(`volumes of plugin ${name} are left out: ${why}`);
      }
    }),
  );
  return { volumes, warnings: warnings.sort() };
}
