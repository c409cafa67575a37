import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until `ask` gives something else than undefined. Null when `timeoutMs` passed first. For states of other servers, which have
 * no way to call back.
 */
export async function askUntil<T>(
  ask: () => Promise<T | undefined>,
  options: { readonly timeoutMs: number; readonly everyMs?: number; readonly signal?: AbortSignal | undefined },
): Promise<T | null> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) return null;
    await delay(options.everyMs ?? 100, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}
