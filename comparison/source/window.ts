import type { TableId } from '#change-events/index.ts';
import { quoteTable } from './catalogue.ts';
import type { Session } from './session.ts';

/** The time that a comparison covers, as two snapshots of the legacy database (`pg_snapshot` text): what the second sees and the first does not. */
export type Window = OpenWindow & { readonly end: string };

export type OpenWindow = {
  readonly start: string;
  readonly startXmin: bigint;
  /** When it had opened, ms since the epoch of this host. */
  readonly openedAt: number;
  /** Every change of a transaction below it had been published when the window opened, deletes included where they can be seen. */
  readonly publishedBelow: bigint;
};

/** A transaction that all strategies must have passed before anything is measured. */
export type Sentinel = {
  readonly txId: bigint;
  /** Taken before `txId` was assigned: all it sees committed before the sentinel. */ readonly snapshot: string;
};

/** @param sentinel that all strategies have passed */
export async function openWindow(session: Session, { txId }: Sentinel): Promise<OpenWindow> {
  const [row] = await session.rows('SELECT s::text, pg_snapshot_xmin(s)::text FROM pg_current_snapshot() AS s');
  const openedAt = performance.timeOrigin + performance.now();
  return { start: row?.[0] ?? '', startXmin: BigInt(row?.[1] ?? '0'), openedAt, publishedBelow: txId };
}

/**
 * Writes the heartbeat row. Its event in the log, which is one ordered stream, says that everything that committed before it has been
 * published; a query-based horizon past its id says the same of the poller.
 */
export async function writeSentinel(session: Session, heartbeat: TableId): Promise<Sentinel> {
  await session.rows('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    const [snapshot] = await session.rows('SELECT pg_current_snapshot()::text');
    const [row] = await session.rows(
      `INSERT INTO ${quoteTable(heartbeat)} AS h (id, beat_at) VALUES (1, clock_timestamp())
       ON CONFLICT (id) DO UPDATE SET beat_at = clock_timestamp() RETURNING pg_current_xact_id()::text`,
    );
    await session.rows('COMMIT');
    return { txId: BigInt(row?.[0] ?? '0'), snapshot: snapshot?.[0] ?? '' };
  } catch (error) {
    await session.rows('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Whether anything committed to these tables after the window: then a difference may be a change on its way. Needs the ledger. */
export async function changedSince(session: Session, snapshot: string, tables: readonly string[]): Promise<boolean> {
  const [row] = await session.rows(
    `SELECT EXISTS (SELECT FROM ledger.changes
                     WHERE txid >= pg_snapshot_xmin($1::pg_snapshot) AND NOT pg_visible_in_snapshot(txid, $1::pg_snapshot)
                       AND table_schema || '.' || table_name = ANY ($2::text[]))::text`,
    [snapshot, tables],
  );
  return row?.[0] === 'true';
}
