import type { TextQuery } from '../source/dialect.ts';

/** Who keeps the floor from moving on: the transaction that has been open longest of those it waits for. */
export type HeldBackBy = {
  /** Null for a prepared transaction: it has no process. */
  readonly pid: number | null;
  readonly application: string | null;
  readonly user: string | null;
  /** Seconds since it began. `not permitted`: only members of pg_read_all_stats may see that of other roles. */
  readonly ageSeconds: number | 'not permitted';
  /** Its name, for a prepared transaction. */
  readonly prepared: string | null;
};

/**
 * Looks up the oldest of the given transactions (virtual ids). When none is given, what they waited for has ended, and the floor waits for the
 * transaction ids of that time: the oldest one that runs, prepared ones too. Null when it has ended.
 */
export async function findHolder(query: TextQuery, open: ReadonlySet<string>): Promise<HeldBackBy | null> {
  const rows = await query(holderQuery, [[...open].join(' ')]);
  const [row] = rows;
  if (row === undefined) return null;
  const [pid, application, user, age, prepared] = row;
  return {
    pid: pid === null || pid === undefined ? null : Number(pid),
    application: application ?? null,
    user: user ?? null,
    ageSeconds: age === null || age === undefined ? 'not permitted' : Number(age),
    prepared: prepared ?? null,
  };
}

/** The lock on its own id is what a running transaction, and a prepared one, is known by to a role that may see nothing else of it. */
const holderQuery = `
  SELECT pid, application_name, usename, age, gid FROM (
    SELECT l.pid, a.application_name, a.usename, round(extract(epoch FROM clock_timestamp() - a.xact_start), 1) AS age, NULL AS gid, 0 AS ids
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND l.virtualxid = ANY (string_to_array($1, ' '))
    UNION ALL
    SELECT l.pid, a.application_name, coalesce(p.owner, a.usename),
           round(extract(epoch FROM clock_timestamp() - coalesce(p.prepared, a.xact_start)), 1), p.gid, age(l.transactionid)
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_prepared_xacts p ON p.transaction = l.transactionid
    WHERE $1 = '' AND l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
  ) AS holders ORDER BY ids DESC, age DESC NULLS LAST, pid LIMIT 1`;
