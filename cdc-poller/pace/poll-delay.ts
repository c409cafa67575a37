import type { PollerConfig, PollerTableConfig } from '#pipeline/index.ts';

/** Bounds of the time from the start of one poll to the start of the next, in ms. Equal ones are a fixed interval. */
export type Interval = { readonly minMs: number; readonly maxMs: number };

/** How often a busy table is asked when only the other bound is given. */
const busyMs = 20;
/** How seldom an idle table is asked when only the other bound is given. */
const idleMs = 2000;
/** An idle table's delay grows by this with each poll that found nothing: a pause of a second costs some 10 polls more. */
const growth = 1.5;

/** The table's own setting before the poller's; of one level, bounds before the fixed interval. */
export function intervalOf(poller: PollerConfig, table: PollerTableConfig): Interval {
  return bounds(table) ?? fixed(table.pollIntervalMs) ?? bounds(poller) ?? { minMs: poller.pollIntervalMs, maxMs: poller.pollIntervalMs };
}

/**
 * The delay after a poll: the shortest after one that found something, then longer and longer up to the longest. Pure.
 *
 * @param previousMs the delay before this poll
 */
export function nextPollDelay(previousMs: number, { published }: { readonly published: number }, { minMs, maxMs }: Interval): number {
  if (published > 0) return minMs;
  return Math.min(maxMs, Math.max(minMs, previousMs * growth));
}

function bounds({ minIntervalMs, maxIntervalMs }: Pick<PollerConfig, 'minIntervalMs' | 'maxIntervalMs'>): Interval | null {
  if (minIntervalMs === undefined && maxIntervalMs === undefined) return null;
  const minMs = minIntervalMs ?? Math.min(busyMs, maxIntervalMs ?? busyMs);
  return { minMs, maxMs: Math.max(minMs, maxIntervalMs ?? idleMs) };
}

function fixed(pollIntervalMs: number | undefined): Interval | null {
  return pollIntervalMs === undefined ? null : { minMs: pollIntervalMs, maxMs: pollIntervalMs };
}
