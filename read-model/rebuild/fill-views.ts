import { escapeIdentifier, type Pool } from 'pg';
import type { CdcError } from '#pipeline/index.ts';
import { inTransaction, qualified, queryText, type Database } from '../database.ts';
import { holdersOf, lockWait, untilUnlocked } from '../locks.ts';
import { analyzeAll } from '../mirrors/statistics.ts';
import { keyArrays, lockView } from '../views/keep-views.ts';
import type { Projection } from '../views/projection.ts';
import { makeRows, orHalts } from '../views/projection-faults.ts';

const keysAtOnce = 20_000;

/** Makes every row of the views from mirrors that were filled without them, in one transaction. Nothing may be applied meanwhile. */
export async function fillViews(
  pool: Pool,
  schema: string,
  projections: readonly Projection[],
  { onWait, signal }: { readonly onWait: (what: string) => void; readonly signal: AbortSignal },
): Promise<void> {
  const positions = qualified(schema, 'applied_offsets');
  const report = (holders: string): void => onWait(`${positions} to be free: ${holders}`);
  await untilUnlocked({ holders: () => holdersOf(pool, positions), onWait: report, signal }, () =>
    inTransaction(pool, schema, async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${lockWait.writersMs}`);
      await client.query('LOCK TABLE applied_offsets IN EXCLUSIVE MODE; SET LOCAL lock_timeout = 0');
      for (const projection of projections) await fillView(client, projection);
      await client.query('UPDATE model_version SET views_filled = true');
    }),
  );
  await analyzeAll(pool, schema);
}

/** Tries to make the halted views again; those that succeed go on. Others may apply meanwhile: they wait for the view. */
export async function refillHaltedViews(
  pool: Pool,
  schema: string,
  projections: readonly Projection[],
  onEnd: (projection: Projection, error: CdcError | null) => void,
): Promise<void> {
  for (const projection of projections) {
    await inTransaction(pool, schema, async (client) => {
      if (!(await lockView(client, schema, projection))) return;
      await client.query('DELETE FROM projection_faults WHERE projection = $1', [projection.name]);
      onEnd(projection, await fillView(client, projection));
    });
  }
}

/** Makes all rows of a view. When that fails the view halts, and the error is returned. */
async function fillView(client: Database, projection: Projection): Promise<CdcError | null> {
  const { fill, name, allKeys } = projection;
  return orHalts(client, projection, null, async () => {
    if (fill !== null) {
      await client.query(`DELETE FROM ${escapeIdentifier(name)}`);
      await client.query(fill);
      return;
    }
    const keys = await queryText(client, allKeys);
    for (let at = 0; at < keys.length; at += keysAtOnce) {
      const some = keys.slice(at, at + keysAtOnce);
      await makeRows(client, projection, keyArrays(projection, some), some.length);
    }
  });
}
