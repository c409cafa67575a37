import type { Pool } from 'pg';
import { inTransaction, queryText, text } from '../database.ts';
import type { Projection } from '../projection.ts';
import { arrayLiteral } from '../values/array-literal.ts';

const keysAtOnce = 20_000;

/** Makes every row of the views from mirrors that were filled without them, in one transaction. Nothing may be applied meanwhile. */
export async function fillViews(pool: Pool, schema: string, projections: readonly Projection[]): Promise<void> {
  await inTransaction(pool, schema, async (client) => {
    await client.query('LOCK TABLE applied_offsets IN EXCLUSIVE MODE');
    for (const { allKeys, recompute } of projections) {
      const keys = (await queryText(client, allKeys)).map((row) => text(row, 0));
      for (let at = 0; at < keys.length; at += keysAtOnce) {
        const parameter = arrayLiteral(keys.slice(at, at + keysAtOnce));
        for (const statement of recompute) await client.query(statement, [parameter]);
      }
    }
    await client.query('UPDATE model_version SET views_filled = true');
    await client.query('ANALYZE');
  });
}
