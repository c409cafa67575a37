import type { Pool, PoolClient } from 'pg';
import { describeError, type Logger } from '#pipeline/index.ts';
import { inTransaction, queryText } from '#read-model/index.ts';
import { claimKey, keepAnswer, keptAnswer, type CommandKey, type Done } from './idempotency.ts';

export type CommandOptions = {
  readonly pool: Pool;
  /** Where answers are kept, and for how long. */
  readonly keys: { readonly table: string; readonly keepMs: number };
  readonly logger: Logger;
};

export type Answer = Done & {
  /** The answer of an earlier time: nothing was done now. */
  readonly replayed: boolean;
  /** The source's clock after the commit, as the query API takes it for Min-Position. Null: not known, though the command is done. */
  readonly minPosition: string | null;
};

/**
 * Does a command in one transaction, with its answer kept under its key in the same one. Whoever sends the same key again gets that answer, and nothing is
 * done twice. A command that is refused is not kept: nothing of it was done.
 *
 * @throws Problem command-running, idempotency-key-reused, and what the command throws
 */
export async function runCommand(
  { pool, keys, logger }: CommandOptions,
  key: CommandKey | null,
  command: (client: PoolClient) => Promise<Done>,
): Promise<Answer> {
  const done = await inTransaction(pool, 'pg_catalog', async (client) => {
    if (key === null) return { ...(await command(client)), replayed: false };
    await claimKey(client, key);
    const kept = await keptAnswer(client, keys.table, key);
    if (kept !== null) return { ...kept, replayed: true };
    const made = await command(client);
    await keepAnswer(client, keys.table, key, made, keys.keepMs);
    return { ...made, replayed: false };
  });
  return { ...done, minPosition: await clockOf(pool, logger) };
}

/** Read after the commit, and so later than it. What is done stays done when the clock cannot be read any more. */
async function clockOf(pool: Pool, logger: Logger): Promise<string | null> {
  try {
    const [row] = await queryText(pool, `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
    return row?.[0] ?? null;
  } catch (error) {
    logger.warn({ reason: describeError(error) }, 'a command is done, and the clock after it could not be read');
    return null;
  }
}
