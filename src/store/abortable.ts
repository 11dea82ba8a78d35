/** Pure. Streams that end when a signal says so, even while their source is silent. */

/**
 * The parts of `source`; throws the signal's reason as soon as it is aborted. The source is told to return then, without
 * waiting for it: a source that hangs must not hang its reader.
 */
export async function* abortable<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  if (signal === undefined) {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  // One promise for each part: a single one for all, raced against every part, would hold on to them all.
  let refuse: ((reason: unknown) => void) | undefined;
  const abort = () => refuse?.(signal.reason);
  let ended = false;
  signal.addEventListener("abort", abort);
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        refuse = reject;
        iterator.next().then(resolve, reject);
      });
      refuse = undefined;
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    const returned = ended ? undefined : iterator.return?.();
    if (signal.aborted) returned?.catch(() => undefined);
    else await returned;
  }
}
