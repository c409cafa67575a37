import { escapeIdentifier, type Pool } from 'pg';
import { formatTableId } from '#change-events/index.ts';
import type { Logger } from '#pipeline/index.ts';
import { inTransaction, qualified } from '../database.ts';
import { loadMirrors } from '../mirror-catalogue.ts';
import type { Mirror } from '../mirror.ts';
import type { ColumnDemand } from './column-demand.ts';

/**
 * Gives a mirror the columns that events of its source ask for, and reads it anew. A transaction of its own before the events: to repeat
 * it does nothing, and a crash in between leaves a column that is empty. Readers of the table wait for it.
 */
export async function followSource(
  pool: Pool,
  mirror: Mirror,
  demands: readonly ColumnDemand[],
  logger: Logger,
): Promise<readonly Mirror[]> {
  const table = qualified(mirror.schema, mirror.table);
  return inTransaction(pool, mirror.schema, async (client) => {
    // Not across a switch to another version of the model, which takes this lock.
    await client.query('LOCK TABLE applied_offsets IN ROW EXCLUSIVE MODE');
    // Then first of all the row that every writer shares: who waits for it then sees the version that this leaves.
    await client.query('UPDATE mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = $1', [mirror.table]);
    for (const demand of demands) {
      await client.query(`ALTER TABLE ${table} ${clause(demand)}`);
      logger.info({ table: formatTableId(mirror.source), ...demand }, 'the mirror follows a change of its source');
    }
    return loadMirrors(client, mirror.schema);
  });
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
