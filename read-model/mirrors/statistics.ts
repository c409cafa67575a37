import type { Pool } from 'pg';
import { queryText, text } from '../database.ts';

/** Smaller tables are read at once whatever the plan; some thousand rows are enough for one that lasts. */
const worthBytes = 2 ** 20;

/**
 * Makes the planner's first statistics of the tables that have grown without any. Autovacuum comes up to a minute after a first load began; without
 * statistics each key is taken for many rows, and a hundred of them read a whole table. Those that have some are autovacuum's.
 */
export async function analyzeUnknown(pool: Pool, schema: string): Promise<void> {
  await analyze(
    pool,
    schema,
    `pg_relation_size(c.oid) >= ${worthBytes}
     AND NOT EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)`,
  );
}

/** Of every table of the schema, and of no other. */
export async function analyzeAll(pool: Pool, schema: string): Promise<void> {
  await analyze(pool, schema, 'true');
}

/** One that somebody is at (a VACUUM or an index that is built, for hours maybe) is left out: nobody of ours waits for it. */
async function analyze(pool: Pool, schema: string, which: string): Promise<void> {
  const statements = await queryText(
    pool,
    `SELECT format('ANALYZE (SKIP_LOCKED) %I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND ${which}`,
    [schema],
  );
  for (const row of statements) await pool.query(text(row, 0));
}
