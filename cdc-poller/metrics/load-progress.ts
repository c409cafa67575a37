import type { Logger } from '#pipeline/index.ts';
import type { Pass } from '../fence/pass.ts';
import type { SourceSession } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import type { LoadFigures, TableMonitor } from './table-monitor.ts';

/** How often a load logs its progress, in ms. */
const reportMs = 5000;

export type LoadContext = {
  readonly session: SourceSession;
  readonly shape: TableShape;
  readonly pageRows: number;
  readonly logger: Logger;
  readonly monitor: TableMonitor;
};

/**
 * Follows a load from its position: rows per second since now, and the rows that are left by the planner's estimate of what is still to be read.
 * Gives what is to be called after each page with the rows read so far.
 */
export async function followLoad(context: LoadContext, pass: Pass): Promise<(rows: { readonly read: number }) => void> {
  const { session, shape, pageRows, logger, monitor } = context;
  const expected = await session.dialect.estimateRows(session, shape, pass, pageRows);
  const startedAt = performance.now();
  let reportedAt = startedAt;
  monitor.loading(loadFigures(expected, 0, 0));
  return ({ read }) => {
    const now = performance.now();
    const figures = loadFigures(expected, read, now - startedAt);
    monitor.loading(figures);
    if (now - reportedAt < reportMs) return;
    reportedAt = now;
    logger.info(figures, 'loading');
  };
}

/** Pure. An estimate that turned out too low says nothing of the rows that are left. */
export function loadFigures(expected: number | null, rowsRead: number, elapsedMs: number): LoadFigures {
  const rowsPerSecond = elapsedMs <= 0 ? 0 : Math.round((rowsRead * 1000) / elapsedMs);
  const rowsRemaining = expected === null || rowsRead > expected ? null : expected - rowsRead;
  const secondsRemaining = rowsRemaining === null || rowsPerSecond === 0 ? null : Math.round(rowsRemaining / rowsPerSecond);
  return { rowsRead, rowsPerSecond, rowsRemaining, secondsRemaining };
}
