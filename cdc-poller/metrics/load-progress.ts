import * as z from 'zod';
import type { Logger } from '#pipeline/index.ts';
import type { Pass } from '../fence/pass.ts';
import { pageQuery } from '../source/page-query.ts';
import type { SourceSession } from '../source/source-session.ts';
import type { TableShape } from '../source/table-shape.ts';
import type { LoadFigures, TableMonitor } from './table-monitor.ts';

/** How often a load tells its progress in the log, in ms. */
const tellMs = 5000;

export type LoadContext = {
  readonly session: SourceSession;
  readonly shape: TableShape;
  readonly pageRows: number;
  readonly logger: Logger;
  readonly monitor: TableMonitor;
};

/**
 * Follows a load from where it stands: rows per second since now, and the rest by the planner's estimate of what is still to be read.
 * Gives what is to be called after each page with the rows read so far.
 */
export async function followLoad(context: LoadContext, pass: Pass): Promise<(rows: { readonly read: number }) => void> {
  const { logger, monitor } = context;
  const expected = await estimateRows(context, pass);
  const startedAt = performance.now();
  let toldAt = startedAt;
  monitor.loading(loadFigures(expected, 0, 0));
  return ({ read }) => {
    const now = performance.now();
    const figures = loadFigures(expected, read, now - startedAt);
    monitor.loading(figures);
    if (now - toldAt < tellMs) return;
    toldAt = now;
    logger.info(figures, 'loading');
  };
}

/** Pure. An estimate that turned out too low says nothing of the rest. */
export function loadFigures(expected: number | null, rowsRead: number, elapsedMs: number): LoadFigures {
  const rowsPerSecond = elapsedMs <= 0 ? 0 : Math.round((rowsRead * 1000) / elapsedMs);
  const rowsRemaining = expected === null || rowsRead > expected ? null : expected - rowsRead;
  const secondsRemaining = rowsRemaining === null || rowsPerSecond === 0 ? null : Math.round(rowsRemaining / rowsPerSecond);
  return { rowsRead, rowsPerSecond, rowsRemaining, secondsRemaining };
}

/** The plan of a page: below its LIMIT are subqueries of its own and, as `Outer`, all that it is cut from. */
const planSchema = z.tuple([
  z.object({ Plan: z.object({ Plans: z.array(z.object({ 'Parent Relationship': z.string(), 'Plan Rows': z.number() })) }) }),
]);

/** EXPLAIN runs nothing: the planner says how many rows the load would give without its LIMIT. Null when it does not. */
async function estimateRows({ session, shape, pageRows }: LoadContext, pass: Pass): Promise<number | null> {
  const { text, values } = pageQuery(shape, pass, pageRows);
  const lines = await session.query(`EXPLAIN (FORMAT JSON) ${text}`, values);
  const plan = planSchema.safeParse(JSON.parse(lines[0]?.[0] ?? 'null'));
  if (!plan.success) return null;
  return plan.data[0].Plan.Plans.find((part) => part['Parent Relationship'] === 'Outer')?.['Plan Rows'] ?? null;
}
