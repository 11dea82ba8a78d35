/** The file conmon leaves in a run's directory when the kernel killed a process of the container for want of memory. */
import { existsSync, watch } from "node:fs";
import { join } from "node:path";

const fileName = "oom";
/** Bun's watcher swallows changes right behind the one it told of: a look this much later finds those. */
const settleMs = 4;

/** Resolves when it is there, or when the signal fires. */
export async function oomFile(directory: string, signal: AbortSignal): Promise<void> {
  const path = join(directory, fileName);
  const { promise, resolve } = Promise.withResolvers<void>();
  let settling: Timer | undefined;
  const look = (): void => {
    if (existsSync(path)) resolve();
  };
  const watcher = watch(directory, () => {
    look();
    settling ??= setTimeout(() => {
      settling = undefined;
      look();
    }, settleMs);
  });
  const done = (): void => resolve();
  signal.addEventListener("abort", done, { once: true });
  try {
    look();
    if (!signal.aborted) await promise;
  } finally {
    signal.removeEventListener("abort", done);
    clearTimeout(settling);
    watcher.close();
  }
}
