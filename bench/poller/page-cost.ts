import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { pollerParts } from '#test/support/poller-parts.ts';

export type PageCost = {
  /** As the server timed it (EXPLAIN ANALYZE), in ms. */
  readonly serverMs: number;
  /** Asked for and received by the client, in ms. */
  readonly clientMs: number;
};

/** One page of 1000 rows in the middle of the table. */
export async function measurePage(database: LegacyDatabase, rows: number): Promise<PageCost> {
  await using parts = await pollerParts(database, 'public.orders');
  const [middle = []] = await parts.query('SELECT updated_at::text, id::text FROM orders WHERE id = $1', [String(Math.floor(rows / 2))]);
  const [timestamp, id] = middle;
  if (!timestamp || !id) throw new Error('the table has no middle');
  const page = parts.pageAfter([timestamp, id], 1000);
  await parts.read(page);
  const startedAt = performance.now();
  const read = await parts.read(page);
  const clientMs = performance.now() - startedAt;
  if (read.length !== 1000) throw new Error(`${read.length} rows`);
  const plan = await parts.query(`EXPLAIN (ANALYZE, TIMING OFF) ${page.text}`, page.values);
  const time = /Execution Time: (?<ms>[\d.]+) ms/.exec(plan.map(([line]) => line ?? '').join('\n'))?.groups?.['ms'];
  if (time === undefined) throw new Error('EXPLAIN gave no time');
  return { serverMs: Number(time), clientMs };
}
