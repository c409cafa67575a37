import { setTimeout as delay } from 'node:timers/promises';
import { CdcError } from '#pipeline/index.ts';

export type WaitOptions = {
  readonly signal: AbortSignal;
  /** Limit in ms for the whole wait. */
  readonly timeoutMs: number;
  /** What is awaited, for the error: "the read model has caught up". A function may add what was seen last. */
  readonly describe: string | (() => string);
  /** Pause between two looks in ms (default 50). */
  readonly intervalMs?: number;
};

/**
 * Looks at `condition` until it gives something other than false, null or undefined, and resolves with that. What the condition throws ends the wait: a
 * condition that may fail for a while must say `false` instead.
 *
 * @throws CdcError WAIT_TIMEOUT after the limit; the signal's reason when aborted
 */
export async function waitFor<T>(
  condition: (signal: AbortSignal) => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const { signal, timeoutMs, intervalMs = 50 } = options;
  const started = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const outcome = await condition(signal);
    if (isSettled(outcome)) return outcome;
    if (performance.now() - started >= timeoutMs) {
      const what = typeof options.describe === 'string' ? options.describe : options.describe();
      throw new CdcError('WAIT_TIMEOUT', `${what}: not within ${formatSeconds(timeoutMs)}.`);
    }
    // The signal's own reason says more than the AbortError of the timer.
    await delay(intervalMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

function isSettled<T>(outcome: T): outcome is Exclude<T, false | null | undefined> {
  return outcome !== false && outcome !== null && outcome !== undefined;
}

/** Milliseconds as people read them: "0.4 s", "12 s", "2 min 5 s". */
export function formatSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 120 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
