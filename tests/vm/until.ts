/** Under emulation a second is little. */
const waitMaxMs = 60_000;

/** Asks again until it holds. @throws naming what never came. */
export async function untilReads(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const from = performance.now(); !(await holds()); await Bun.sleep(20))
    if (performance.now() - from > waitMaxMs) throw new Error(`this never came: ${what}`);
}
