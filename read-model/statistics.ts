import type { Pool } from 'pg';
import { queryText, text } from './database.ts';

/** Smaller tables are read at once whatever the plan; some thousand rows are enough for one that lasts. */
const worthBytes = 2 ** 20;

/**
 * Makes the planner's first statistics of the tables that have grown without any. Autovacuum comes up to a minute after a first load began; without
 * statistics each key is taken for many rows, and a hundred of them read a whole table. Those that have some are autovacuum's.
 */
export async function analyzeUnknown(pool: Pool, schema: string): Promise<void> {
  const unknown = await queryText(
    pool,
    `SELECT format('ANALYZE %I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND pg_relation_size(c.oid) >= $2
        AND NOT EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)`,
    [schema, worthBytes],
  );
  for (const row of unknown) await pool.query(text(row, 0));
}
