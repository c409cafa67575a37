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
