import { setTimeout as delay } from 'node:timers/promises';

/** Waits for `ms`, at the longest until the signal is aborted. Never rejects: whoever waits looks at the signal, and ends its work in order. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** Waits until `work` has ended, whichever way, and for `ms` at the longest. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([work.catch(() => undefined), pause(ms, over.signal)]);
  } finally {
    over.abort();
  }
}

/** `promise`, or a rejection with the signal's reason as soon as it is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Whichever lost the race has nobody else to hear it fail.
    promise.catch(() => undefined);
    aborted.promise.catch(() => undefined);
  }
}
