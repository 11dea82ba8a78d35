/** A blob from a registry into the store, over as many attempts as it takes. */
import { Fault } from "#spec/fault.ts";
import type { Arrival } from "#store/arrivals.ts";
import { Breath } from "#store/breath.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { Repository } from "./repository.ts";
import { retrying } from "./retry.ts";

export type Received =
  | { readonly kind: "receiving"; readonly receivedBytes: number; readonly totalBytes: number }
  | { readonly kind: "waiting"; readonly seconds: number }
  | { readonly kind: "complete" };

/** News in between are left out. In bytes. */
const newsBytes = 512 << 10;

/**
 * Fills `arrival` and verifies it. Attempts that bring something do not count against the bound; wrong bytes are fetched
 * once more, from the next place if there is one.
 * @throws Fault of the last attempt.
 */
export async function download(
  arrival: Arrival,
  repositories: readonly Repository[],
  { maxAttempts, retryDelayMs: delayMs }: RegistryOptions,
  o: { readonly signal: AbortSignal; readonly tell: (news: Received) => void },
): Promise<void> {
  const { signal, tell } = o;
  let failure: Fault | undefined;
  for (const repository of repositories) {
    try {
      await retrying(async () => await receive(arrival, repository, signal, tell), {
        maxAttempts,
        delayMs,
        signal,
        waiting: (pauseMs) => tell({ kind: "waiting", seconds: Math.ceil(pauseMs / 1000) }),
        reached: () => arrival.sizeBytes,
      });
      return;
    } catch (thrown) {
      signal.throwIfAborted();
      failure = Fault.from(thrown);
    }
  }
  throw failure ?? new Fault("internal", "there is no place to pull from");
}

async function receive(
  arrival: Arrival,
  repository: Repository,
  signal: AbortSignal,
  tell: (news: Received) => void,
): Promise<void> {
  const resumed = arrival.sizeBytes > 0;
  if (!arrival.isWhole) {
    const { start, body } = await repository.blob(arrival.digest, arrival.sizeBytes, signal);
    if (start !== arrival.sizeBytes) arrival.reset();
    const breath = new Breath(signal);
    let told = arrival.sizeBytes - newsBytes;
    for await (const bytes of body) {
      arrival.append(bytes);
      if (arrival.sizeBytes - told >= newsBytes) {
        told = arrival.sizeBytes;
        tell({ kind: "receiving", receivedBytes: told, totalBytes: arrival.expectedBytes });
      }
      if (breath.due) await breath.take();
    }
    if (!arrival.isWhole)
      throw new Fault(
        "internal",
        `the connection ended after ${arrival.sizeBytes} of ${arrival.expectedBytes} bytes of ${arrival.digest}: unexpected EOF`,
        { detail: { network: "short" } },
      );
  }
  try {
    arrival.verify();
  } catch (thrown) {
    const fault = Fault.from(thrown);
    // What came earlier may be what is wrong with it: once more, from the first byte on.
    throw resumed
      ? new Fault(fault.kind, fault.message, { cause: fault, detail: { network: "stale" } })
      : fault;
  }
}
