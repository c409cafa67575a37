import { setTimeout as delay } from 'node:timers/promises';
import { escapeIdentifier, type Pool } from 'pg';
import { inTransaction, queryText, qualified, text, type Database } from '../database.ts';
import { readVersion, versionSchema } from './versions.ts';

/** How long the serving version may be held while the other one catches up with it: its consumer waits, its readers do not. */
const holdMs = 5000;
const lookEveryMs = 20;

/**
 * Makes `candidate` the version that serves, atomically: one transaction renames both schemas. Before, the serving version's consumer is
 * held between two batches until the candidate has applied at least as much, so that no reader sees the model go back.
 * `beforeRename` runs then: the candidate's own consumer must be ended by it.
 *
 * Gives false when the candidate did not catch up in time; nothing has changed then.
 */
export async function switchTo(pool: Pool, model: string, candidate: string, beforeRename: () => Promise<void>): Promise<boolean> {
  const caughtUp = await inTransaction(pool, model, async (client) => {
    // Whoever applies has written its position here first: this waits for it, and lets nobody begin. It is also what makes a waiting
    // writer look its tables up again afterwards, under the new names.
    await client.query(`LOCK TABLE ${qualified(model, 'applied_offsets')} IN EXCLUSIVE MODE`);
    const until = Date.now() + holdMs;
    while (!(await isLevel(client, model, candidate))) {
      if (Date.now() > until) return false;
      await delay(lookEveryMs);
    }
    await beforeRename();
    await client.query(`LOCK TABLE ${qualified(candidate, 'applied_offsets')} IN EXCLUSIVE MODE`);
    const { version } = await readVersion(client, model);
    const { version: next } = await readVersion(client, candidate);
    await client.query(`ALTER SCHEMA ${escapeIdentifier(model)} RENAME TO ${escapeIdentifier(versionSchema(model, version))}`);
    await client.query(`ALTER SCHEMA ${escapeIdentifier(candidate)} RENAME TO ${escapeIdentifier(model)}`);
    await client.query(`SELECT pg_notify('read_model_switched', $1)`, [`${model} ${next}`]);
    return true;
  });
  return caughtUp;
}

/** Whether `candidate` has applied, of every partition, what `model` has. */
async function isLevel(client: Database, model: string, candidate: string): Promise<boolean> {
  const [row] = await queryText(
    client,
    `SELECT count(*) FROM ${qualified(model, 'applied_offsets')} s
      LEFT JOIN ${qualified(candidate, 'applied_offsets')} c USING (topic, partition)
      WHERE c.next_offset IS NULL OR c.next_offset < s.next_offset`,
  );
  return row !== undefined && text(row, 0) === '0';
}
