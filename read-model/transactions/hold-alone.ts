import { setTimeout as delay } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import type { Logger } from '#pipeline/index.ts';
import { queryText } from '../database.ts';
import { retrying } from '../retry.ts';

/** The right to be the only one, until disposed; `lost` is aborted when the connection that holds it ends. */
export type Alone = AsyncDisposable & { readonly lost: AbortSignal };

const askEveryMs = 500;

/**
 * Waits until no other process holds `schema`, and holds it. Only keeps processes from reading beside each other in vain: that nothing is
 * applied twice is the positions' work.
 */
export async function holdAlone(pool: Pool, schema: string, logger: Logger, signal: AbortSignal): Promise<Alone> {
  return retrying(`waiting to be the only consumer of ${schema}`, logger, signal, async () => {
    const client = await pool.connect();
    const lost = new AbortController();
    client.on('error', (error) => lost.abort(error));
    try {
      for (let asked = 0; !(await tryLock(client, schema)); asked += 1) {
        if (asked === 0) logger.info({ schema }, 'another process puts the transactions of this model together; waiting to take over');
        await delay(askEveryMs, undefined, { signal });
      }
    } catch (error) {
      client.release(true);
      throw error;
    }
    return {
      lost: lost.signal,
      async [Symbol.asyncDispose]() {
        // The lock is the connection's: it goes with it.
        client.release(true);
      },
    };
  });
}

async function tryLock(client: PoolClient, schema: string): Promise<boolean> {
  const [row] = await queryText(client, 'SELECT pg_try_advisory_lock(hashtextextended($1, 0))', [`read-model alone ${schema}`]);
  return row?.[0] === 't';
}
