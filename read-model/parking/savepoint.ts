import type { Database } from '../database.ts';

/** Runs `work` so that it can fail alone: then the transaction is as it was before, and the error is given. */
export async function attempt(client: Database, work: () => Promise<void>): Promise<{ readonly error: unknown } | null> {
  await client.query('SAVEPOINT attempt');
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
