import { pause } from '#pipeline/index.ts';
import { queryText, text, type Database } from './database.ts';

/**
 * How long a change of a table waits for its lock. Readers that come meanwhile wait behind it, so it asks for a moment and comes again later.
 */
export const lockWait = {
  /** For locks that keep readers waiting. */
  readersMs: 250,
  /** For those that only our own writers share. */
  writersMs: 2000,
  /** Between two tries. */
  pauseMs: 2000,
} as const;

export function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03';
}

export type LockTries = {
  /** Who uses what is to be locked, in words. */
  readonly holders: () => Promise<string>;
  /** Hears of each try that got no lock. */
  readonly onWait: (holders: string, tries: number) => void;
  readonly signal: AbortSignal;
};

/**
 * Does `work`, a transaction that asks for its locks with a `lock_timeout`, again and again until it gets them: between two tries whoever came meanwhile has
 * his turn. `work` gets the number of the try.
 *
 * @throws what `work` throws but for lock timeouts, what `onWait` throws, the signal's reason
 */
export async function untilUnlocked<T>({ holders, onWait, signal }: LockTries, work: (tries: number) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work(tries);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      onWait(await holders(), tries);
      await pause(lockWait.pauseMs, signal);
      signal.throwIfAborted();
    }
  }
}

/** Who uses a table now, in words. `table` is quoted. */
export async function holdersOf(database: Database, table: string): Promise<string> {
  return inWords(await holding(database, 'l.relation = to_regclass($1)', table));
}

/** Who uses any table of a schema now, in words. */
export async function holdersInSchema(database: Database, schema: string): Promise<string> {
  const ofSchema = 'l.relation IN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1)';
  return inWords(await holding(database, ofSchema, schema));
}

/** Of a table that is used by many, the oldest are shown: they are what is waited for. */
const shownMost = 10;

async function holding(database: Database, which: string, value: string): Promise<readonly string[]> {
  const rows = await queryText(
    database,
    `SELECT l.pid, coalesce(a.usename::text, 'unknown'), coalesce(a.state, 'unknown')
       FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid() AND ${which}
      GROUP BY l.pid, a.usename, a.state, a.xact_start ORDER BY a.xact_start NULLS LAST, l.pid LIMIT ${shownMost}`,
    [value],
  ).catch(() => []);
  return rows.map((row) => `pid ${text(row, 0)} (${text(row, 1)}, ${text(row, 2)})`);
}

function inWords(holders: readonly string[]): string {
  return holders.length === 0 ? 'another session uses it' : `it is used by ${holders.join(', ')}`;
}
