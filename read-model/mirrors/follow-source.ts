import { escapeIdentifier, type Pool, type PoolClient } from 'pg';
import { formatTableId } from '#change-events/index.ts';
import { CdcError, describeError, type Logger } from '#pipeline/index.ts';
import { inTransaction, qualified } from '../database.ts';
import { faultOf } from '../faults/classify.ts';
import { holdersOf, isLockTimeout, lockWait } from '../locks.ts';
import { loadMirrors } from './mirror-catalogue.ts';
import type { Mirror, Refusal } from './mirror.ts';
import { historyTable } from './own-columns.ts';
import type { ColumnDemand } from './column-demand.ts';

/** The server does not do what a demand asks for, and would not the next time. */
export class DemandRefusedError extends Error {
  override readonly name = 'DemandRefusedError';
  readonly demand: ColumnDemand;
  readonly refusal: Refusal;
  /** What was tried is tried again only when the mirror has other columns: its trial made readers wait. */
  readonly isCostly: boolean;

  constructor(demand: ColumnDemand, refusal: Refusal, isCostly: boolean) {
    super(refusal.why);
    this.demand = demand;
    this.refusal = refusal;
    this.isCostly = isCostly;
  }
}

/** A table that is rewritten is locked meanwhile: a larger one is left to its owner. */
const rewriteMs = 2000;

/**
 * Gives a mirror the columns that events of its source ask for, and reads it again. A transaction of its own before the events: to repeat
 * it does nothing, and a crash in between leaves a column that is empty. Readers of the table wait for it, for a moment (locks.ts) and while
 * it is rewritten, which is given up after two seconds.
 *
 * @throws CdcError READ_MODEL_LOCKED when others use the table: to be tried again later; DemandRefusedError
 */
export async function followSource(
  pool: Pool,
  mirror: Mirror,
  demands: readonly ColumnDemand[],
  logger: Logger,
): Promise<readonly Mirror[]> {
  const table = qualified(mirror.schema, mirror.table);
  try {
    return await inTransaction(pool, mirror.schema, async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${lockWait.writersMs}; SET LOCAL statement_timeout = ${rewriteMs}`);
      // Not across a switch to another version of the model, which takes this lock.
      await client.query('LOCK TABLE applied_offsets IN ROW EXCLUSIVE MODE');
      // Then first of all the row that every writer shares: who waits for it then sees the version that this leaves.
      await client.query('UPDATE mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = $1', [mirror.table]);
      await client.query(`SET LOCAL lock_timeout = ${lockWait.readersMs}`);
      await alterAll(client, table, demands);
      // The history has the same columns, and none that is required.
      const ofHistory = demands.filter(({ kind }) => kind !== 'nullable');
      if (mirror.history && ofHistory.length > 0) await alterAll(client, qualified(mirror.schema, historyTable(mirror.table)), ofHistory);
      for (const demand of demands)
        logger.info({ table: formatTableId(mirror.source), ...demand }, 'the mirror follows a change of its source');
      return loadMirrors(client, mirror.schema);
    });
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    const holders = await holdersOf(pool, table);
    throw new CdcError('READ_MODEL_LOCKED', `mirror ${mirror.table} of ${formatTableId(mirror.source)} waits to be altered: ${holders}`, {
      cause: error,
    });
  }
}

/**
 * In one statement: each takes its time with the table locked, and events may ask for a thousand columns. One by one when that is refused, to know which.
 *
 * @throws DemandRefusedError
 */
async function alterAll(client: PoolClient, table: string, demands: readonly ColumnDemand[]): Promise<void> {
  if (demands.length > 1) {
    await client.query('SAVEPOINT together');
    try {
      await client.query(`ALTER TABLE ${table} ${demands.map(clause).join(', ')}`);
      return;
    } catch (error) {
      if (isLockTimeout(error)) throw error;
      await client.query('ROLLBACK TO SAVEPOINT together');
    }
  }
  for (const demand of demands) await alter(client, `ALTER TABLE ${table} ${clause(demand)}`, demand);
}

/** @throws DemandRefusedError */
async function alter(client: PoolClient, statement: string, demand: ColumnDemand): Promise<void> {
  const began = performance.now();
  try {
    await client.query(statement);
  } catch (error) {
    const isLong = performance.now() - began >= rewriteMs && error instanceof Error && 'code' in error && error.code === '57014';
    if (!isLong && faultOf(error) === 'passing') throw error;
    const why = isLong
      ? `it takes longer than ${rewriteMs / 1000} s to rewrite the table, and readers wait meanwhile`
      : describeError(error);
    const remedy = `Run it yourself, as the table's owner and when nobody waits for the table: ${statement}. The table goes on by itself within a minute.`;
    throw new DemandRefusedError(demand, { why: `${statement}: ${why}`, ...(isFull(error) ? {} : { remedy }) }, isLong);
  }
}

/** Too many columns: nobody else can add one either. */
function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '54011';
}

function clause(demand: ColumnDemand): string {
  const column = escapeIdentifier(demand.column);
  switch (demand.kind) {
    case 'add':
      return `ADD COLUMN IF NOT EXISTS ${column} ${demand.type}`;
    case 'widen':
      return `ALTER COLUMN ${column} TYPE ${demand.type}`;
    case 'nullable':
      return `ALTER COLUMN ${column} DROP NOT NULL`;
  }
}
