import { DatabaseError, type ClientConfig } from 'pg';
import { CdcError, pause } from '#pipeline/index.ts';
import { explainError, isConnectionLoss, openClient, type OpenClient } from '../connect.ts';
import type { Operation, Transaction } from './operation.ts';
import type { RowPools } from './row-pools.ts';
import type { Tally } from './statistics.ts';
import { runTransaction, type ChooseRow } from './transaction.ts';

/** One connection of the old application; it comes back after a connection loss, as a connection pool does. */
export type Writer = AsyncDisposable & { readonly perform: (operation: Operation) => Promise<void> };

/** Deadlock, serialization failure, lock timeout, statement timeout, a parent row that is gone: an application lives with these. */
const conflicts = new Set(['40P01', '40001', '55P03', '57014', '23503']);
const reconnectMs = 30_000;

/**
 * Opens a writer. `perform` leaves no transaction open, whatever happens; it throws what an application cannot live with.
 *
 * @throws CdcError of a connection; LEGACY_DB_UNREACHABLE from `perform` when the database stays away for 30 s
 */
export async function openWriter(config: ClientConfig, pools: RowPools, tally: Tally, signal: AbortSignal): Promise<Writer> {
  let client: OpenClient | undefined = await connect(config);

  const runOne = async (transaction: Transaction, choose: ChooseRow): Promise<void> => {
    client ??= await reconnect(config, tally, signal);
    if (client === undefined) return;
    try {
      const report = await runTransaction(client, transaction, pools, choose, signal);
      tally.savepointsReleased += report.savepointsReleased;
      tally.savepointsRolledBack += report.savepointsRolledBack;
      tally.rowsGone += report.rowsGone;
      if (transaction.ending === 'rollback') tally.rolledBack += 1;
      else tally.committed += 1;
      if (transaction.ending === 'commit' && transaction.holdMs > 0) tally.committedLate += 1;
    } catch (error) {
      if (isConnectionLoss(error)) {
        tally.lost += 1;
        await client.end().catch(() => undefined);
        client = undefined;
        return;
      }
      await client.query('ROLLBACK').catch(() => undefined);
      if (!(error instanceof DatabaseError) || !conflicts.has(error.code ?? '')) throw explainError(error, config);
      tally.conflicts += 1;
    }
  };

  return {
    perform: async (operation) => {
      const choose = chooser(pools);
      for (const transaction of operation.transactions) {
        if (signal.aborted) return;
        await runOne(transaction, choose);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await client?.end();
    },
  };
}

function chooser(pools: RowPools): ChooseRow {
  const chosen = new Map<string, string | undefined>();
  return (table, pick) => {
    const key = `${table}:${pick}`;
    if (!chosen.has(key)) chosen.set(key, pools[table].at(pick));
    return chosen.get(key);
  };
}

async function connect(config: ClientConfig): Promise<OpenClient> {
  const client = await openClient(config);
  try {
    // Bounds how long a stop may take when somebody else holds a row.
    await client.query("SET lock_timeout = '5s'; SET statement_timeout = '30s'");
  } catch (error) {
    await client.end().catch(() => undefined);
    throw explainError(error, config);
  }
  return client;
}

/** Undefined when aborted before the database came back. */
async function reconnect(config: ClientConfig, tally: Tally, signal: AbortSignal): Promise<OpenClient | undefined> {
  const deadline = performance.now() + reconnectMs;
  while (!signal.aborted) {
    try {
      const client = await connect(config);
      tally.reconnects += 1;
      return client;
    } catch (error) {
      const away = error instanceof CdcError && error.code === 'LEGACY_DB_UNREACHABLE';
      if (!away || performance.now() > deadline) throw error;
      await pause(200, signal);
    }
  }
  return undefined;
}
