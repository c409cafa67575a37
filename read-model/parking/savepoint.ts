import type { Database } from '../database.ts';

/** Begins an {@link attempt}; SQL that goes along with other statements, where a round trip counts. */
export const savepoint = 'SAVEPOINT attempt';

/**
 * Runs `work` so that it can fail alone: then the transaction is as it was before, and the error is given.
 *
 * @param begun the savepoint is there already
 */
export async function attempt(client: Database, work: () => Promise<void>, begun = false): Promise<{ readonly error: unknown } | null> {
  if (!begun) await client.query(savepoint);
  try {
    await work();
  } catch (error) {
    // Fails too when the connection is gone: that error is then the one that counts.
    await client.query('ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt');
    return { error };
  }
  await client.query('RELEASE SAVEPOINT attempt');
  return null;
}
