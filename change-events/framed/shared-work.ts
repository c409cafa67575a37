type Running = { readonly done: Promise<void>; readonly stop: AbortController; waiting: number };

/**
 * One piece of work per key at a time, for all who wait for it. An abort only ends the waiting of who asked for it; the work itself is
 * aborted when nobody waits any more.
 */
export function sharedWork<K>(
  work: (key: K, signal: AbortSignal) => Promise<void>,
): (key: K, signal: AbortSignal | undefined) => Promise<void> {
  const running = new Map<K, Running>();
  const forget = (key: K, one: Running): void => {
    if (running.get(key) === one) running.delete(key);
  };
  return async (key, signal) => {
    signal?.throwIfAborted();
    const one = running.get(key) ?? begin(work, key);
    running.set(key, one);
    one.waiting += 1;
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([one.done, aborted.promise]);
      forget(key, one);
    } catch (error) {
      // Failed: whoever comes next begins again. Aborted: the others still wait.
      if (signal?.aborted !== true || one.waiting === 1) forget(key, one);
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      one.waiting -= 1;
      if (one.waiting === 0) one.stop.abort();
    }
  };
}

function begin<K>(work: (key: K, signal: AbortSignal) => Promise<void>, key: K): Running {
  const stop = new AbortController();
  const done = work(key, stop.signal);
  // Whoever was aborted does not hear it fail.
  done.catch(() => undefined);
  return { done, stop, waiting: 0 };
}
