import { lowXid } from './xid.ts';
import type { Session } from './session.ts';

/** Commit times by the low 32 bits of the transaction id, in ms since the epoch of the database's clock; or why there are none. */
export type CommitTimes = { readonly times: ReadonlyMap<bigint, number>; readonly unavailable: string | null };

const batch = 5000;

/**
 * Asks Postgres when transactions committed. Also answers for the id of a sub-transaction (savepoint), which is what a query-based
 * event may carry. Transactions that it no longer knows are left out.
 */
export async function readCommitTimes(session: Session, txIds: Iterable<bigint>): Promise<CommitTimes> {
  const [setting] = await session.rows('SHOW track_commit_timestamp');
  if (setting?.[0] !== 'on') return { times: new Map(), unavailable: 'track_commit_timestamp is off in the legacy database' };
  // 0 to 2 are no transactions; to ask for their time is an error.
  const wanted = [...new Set([...txIds].map(lowXid))].filter((txId) => txId > 2n);
  const times = new Map<bigint, number>();
  for (let from = 0; from < wanted.length; from += batch) {
    const rows = await session.rows(
      `SELECT x, (extract(epoch FROM pg_xact_commit_timestamp(x::xid)) * 1000)::text FROM unnest($1::text[]) AS x`,
      [wanted.slice(from, from + batch).map(String)],
    );
    for (const [txId, time] of rows) if (typeof txId === 'string' && typeof time === 'string') times.set(BigInt(txId), Number(time));
  }
  return { times, unavailable: null };
}

/** How far the database's clock is ahead of this host's, in ms, and how sure that is (half of the shortest round trip). */
export type ClockOffset = { readonly aheadMs: number; readonly uncertaintyMs: number };

export async function measureClock(session: Session): Promise<ClockOffset> {
  let best: ClockOffset = { aheadMs: 0, uncertaintyMs: Infinity };
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const before = performance.timeOrigin + performance.now();
    const [row] = await session.rows('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text');
    const after = performance.timeOrigin + performance.now();
    const uncertaintyMs = (after - before) / 2;
    if (uncertaintyMs < best.uncertaintyMs) best = { aheadMs: Number(row?.[0] ?? 'NaN') - (before + after) / 2, uncertaintyMs };
  }
  return best;
}
