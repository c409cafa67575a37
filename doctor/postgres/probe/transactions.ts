import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import type { DoctorSession } from './session.ts';

const openSchema = z.object({
  pid: z.number(),
  virtualXid: z.string(),
  /** It has written: a new logical slot waits for it. */
  writing: z.boolean(),
  role: z.string(),
  database: z.string().nullable(),
  application: z.string(),
  /** Null where the session's role may not see it. */
  ageSeconds: z.number().nullable(),
});

const preparedSchema = z.object({
  gid: z.string(),
  owner: z.string(),
  database: z.string(),
  ageSeconds: z.number(),
});

const transactionsSchema = z.object({ open: z.array(openSchema), prepared: z.array(preparedSchema) });

export type OpenTransaction = z.output<typeof openSchema>;
/** Transactions of the whole server, its own processes and slots' readers left out. */
export type TransactionFacts = z.output<typeof transactionsSchema>;

/**
 * pg_locks shows every open transaction to every role (pg_stat_activity hides ages and states of other roles' sessions). `ownPids` are
 * doctor's other sessions.
 */
const transactionsQuery = `
  SELECT json_build_object(
    'open', (
      SELECT coalesce(json_agg(json_build_object(
          'pid', v.pid, 'virtualXid', v.virtualxid, 'role', a.usename, 'database', a.datname, 'application', coalesce(a.application_name, ''),
          'ageSeconds', extract(epoch FROM clock_timestamp() - a.xact_start),
          'writing', EXISTS (SELECT FROM pg_locks x WHERE x.locktype = 'transactionid' AND x.pid = v.pid AND x.granted AND x.mode = 'ExclusiveLock'))
        ORDER BY v.pid), '[]')
      FROM pg_locks v JOIN pg_stat_activity a ON a.pid = v.pid
      WHERE v.locktype = 'virtualxid' AND v.granted AND v.mode = 'ExclusiveLock' AND v.pid <> pg_backend_pid()
        AND a.usename IS NOT NULL AND a.application_name <> 'cdc doctor'
        AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = v.pid)),
    'prepared', (
      SELECT coalesce(json_agg(json_build_object(
          'gid', gid, 'owner', owner, 'database', database, 'ageSeconds', extract(epoch FROM clock_timestamp() - prepared)) ORDER BY prepared), '[]')
      FROM pg_prepared_xacts))`;

function readTransactions(session: DoctorSession): Promise<TransactionFacts> {
  return session.read(transactionsQuery, transactionsSchema);
}

/** The transactions of `first` that are still open in `second`, as they are there. */
export function stillOpen(first: TransactionFacts, second: TransactionFacts): TransactionFacts {
  const before = new Set(first.open.map(({ virtualXid }) => virtualXid));
  return { open: second.open.filter(({ virtualXid }) => before.has(virtualXid)), prepared: second.prepared };
}

/** A transaction whose age is hidden is a finding only when it lasts this long while doctor looks. */
const hiddenMs = 1000;

/** Looks at the open transactions now; `finish` looks again: of those whose age is hidden, a short one has ended by then. */
export async function watchTransactions(
  session: DoctorSession,
): Promise<{ readonly finish: (signal: AbortSignal) => Promise<TransactionFacts> }> {
  const first = await readTransactions(session);
  const looked = performance.now();
  return {
    finish: async (signal) => {
      if (first.open.every(({ ageSeconds }) => ageSeconds !== null)) return first;
      await delay(Math.max(0, hiddenMs - (performance.now() - looked)), undefined, { signal });
      return stillOpen(first, await readTransactions(session));
    },
  };
}
