import type { PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import { intervalOf } from './poll-delay.ts';

/**
 * How long a table may be without success before it counts as stuck, in ms: `stuckAfterMs`, but never less than ten of its longest intervals,
 * nor than three pages at the rate that its limit allows.
 */
export function patienceMs(poller: PollerConfig, table: PollerTableConfig): number {
  const rates = [poller.maxRowsPerSecond, table.maxRowsPerSecond].filter((rate) => rate !== undefined);
  const page = rates.length === 0 ? 0 : (poller.pageRows * 1000) / Math.min(...rates);
  return Math.max(poller.stuckAfterMs, 10 * intervalOf(poller, table).maxMs, 3 * page);
}
