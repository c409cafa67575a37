/** What a handler that throws does to its changes: they are handed over again until it succeeds, or the one at fault is found and parked. */
export type OnError = 'retry' | 'park';

/**
 * Where the tries of one batch are: its messages `from` to before `to` are handed over next, for the `attempt`-th time. What comes before `from` is
 * committed. `failsTo`: what is from `from` to before it is known to fail together.
 */
export type Tries = {
  readonly from: number;
  readonly to: number;
  readonly attempt: number;
  readonly length: number;
  readonly failsTo: number | null;
};

export type TryAgain = { readonly tries: Tries; readonly waitMs: number; /** The message at fault. */ readonly park: number | null };

export type TryPolicy = {
  readonly onError: OnError;
  /** With `park`: so many tries of a batch before its halves are tried, and of the single change before it is parked. */
  readonly tries: number;
  readonly retryMaxMs: number;
};

const firstWaitMs = 100;

export function firstTry(length: number): Tries {
  return { from: 0, to: length, attempt: 1, length, failsTo: null };
}

/** The part is committed. Null when it was the last one. */
export function afterSuccess({ to, length, failsTo }: Tries): Tries | null {
  if (to >= length) return null;
  // The one at fault is in the rest of what failed together.
  if (failsTo !== null && failsTo > to) return { from: to, to: middle(to, failsTo), attempt: 1, length, failsTo };
  return { from: to, to: length, attempt: 1, length, failsTo: null };
}

/** Something failed that no change is at fault for: a server that is away, a deadlock. The same again, after a growing pause. */
export function afterPassing(tries: Tries, failures: number, { retryMaxMs }: TryPolicy): TryAgain {
  return { tries, waitMs: waitAfter(failures, retryMaxMs), park: null };
}

/** The handler failed. */
export function afterFailure(now: Tries, policy: TryPolicy): TryAgain {
  const { from, to, attempt, length, failsTo } = now;
  const again: TryAgain = { tries: { ...now, attempt: attempt + 1 }, waitMs: waitAfter(attempt, policy.retryMaxMs), park: null };
  if (policy.onError === 'retry') return again;
  if (to - from > 1) {
    // Parts of what has failed so often are tried once.
    if (failsTo === null && attempt < policy.tries) return again;
    return { tries: { from, to: middle(from, to), attempt: 1, length, failsTo: to }, waitMs: 0, park: null };
  }
  if (attempt < policy.tries) return again;
  return { tries: { from, to: length, attempt: 1, length, failsTo: null }, waitMs: 0, park: from };
}

function middle(from: number, to: number): number {
  return from + Math.ceil((to - from) / 2);
}

/** The pause after so many failures, in ms. */
export function waitAfter(failures: number, most: number): number {
  return Math.min(most, firstWaitMs * 2 ** Math.min(failures - 1, 20));
}
