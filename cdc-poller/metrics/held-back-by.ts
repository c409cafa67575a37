import type { TextQuery } from '../source/catalog.ts';

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

/** Looks up the oldest of the given transactions (virtual ids); the oldest prepared one when none is given. Null when it has ended. */
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

/** A prepared transaction holds no virtual id any more: when none of those is left, it is what holds the floor. */
const holderQuery = `
  SELECT * FROM (
    SELECT l.pid, a.application_name, a.usename, round(extract(epoch FROM clock_timestamp() - a.xact_start), 1) AS age, NULL AS gid
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND l.virtualxid = ANY (string_to_array($1, ' '))
    UNION ALL
    SELECT NULL, NULL, owner, round(extract(epoch FROM clock_timestamp() - prepared), 1), gid FROM pg_prepared_xacts WHERE $1 = ''
  ) AS holders ORDER BY age DESC NULLS LAST, pid LIMIT 1`;
