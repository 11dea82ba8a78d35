/** For tests only: waiting for what comes soon. */
const patienceMs = 10_000;
const pauseMs = 2;

/** @throws When it does not come to hold in ten seconds. */
export async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not happen: ${holds}`);
    await Bun.sleep(pauseMs);
  }
}
