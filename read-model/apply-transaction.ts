import type { Pool } from 'pg';
import type { Change } from './change.ts';
import { collapse, type TableChanges } from './collapse.ts';
import { inTransaction, queryText, text, type Database } from './database.ts';
import { writeMirror } from './mirror-writer.ts';
import type { Mirror } from './mirror.ts';
import type { TopicPartition } from './positions.ts';
import type { Projection } from './projection.ts';
import { arrayLiteral } from './values/array-literal.ts';

/** A run of one partition's events that is to be applied at `position` and moves it to `nextOffset`. No events only move it. */
export type PartitionBatch = TopicPartition & {
  readonly mirror: Mirror;
  readonly changes: readonly Change[];
  /** The offset and the epoch that must be stored now. */
  readonly expectedOffset: bigint;
  readonly epoch: bigint;
  readonly nextOffset: bigint;
};

export type ModelSchema = { readonly schema: string; readonly projections: readonly Projection[] };

/** Somebody else has moved (or taken) these partitions: nothing of the transaction was applied. */
export class StalePositionError extends Error {
  override readonly name = 'StalePositionError';
  readonly stale: readonly PartitionBatch[];

  constructor(stale: readonly PartitionBatch[]) {
    super(`stale position of ${stale.map(({ topic, partition }) => `${topic}/${partition}`).join(', ')}`);
    this.stale = stale;
  }
}

/**
 * Applies batches of different partitions in one transaction: positions by compare-and-set, mirrors, views, apply log. All or nothing.
 *
 * @throws StalePositionError when a batch's position is not the stored one
 */
export async function applyBatches(pool: Pool, model: ModelSchema, batches: readonly PartitionBatch[]): Promise<void> {
  await inTransaction(pool, model.schema, async (client) => {
    await movePositions(client, batches);
    await applyChanges(client, model, batches);
    await logBatches(client, batches);
  });
}

async function movePositions(client: Database, batches: readonly PartitionBatch[]): Promise<void> {
  const moved = await queryText(
    client,
    `UPDATE applied_offsets a SET next_offset = b.next_offset, updated_at = clock_timestamp()
       FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[]) AS b (topic, partition, expected, epoch, next_offset)
      WHERE a.topic = b.topic AND a.partition = b.partition AND a.next_offset = b.expected AND a.epoch = b.epoch
      RETURNING a.topic, a.partition`,
    [
      batches.map(({ topic }) => topic),
      batches.map(({ partition }) => partition),
      batches.map(({ expectedOffset }) => String(expectedOffset)),
      batches.map(({ epoch }) => String(epoch)),
      batches.map(({ nextOffset }) => String(nextOffset)),
    ],
  );
  if (moved.length === batches.length) return;
  const done = new Set(moved.map((row) => `${text(row, 0)}/${text(row, 1)}`));
  throw new StalePositionError(batches.filter(({ topic, partition }) => !done.has(`${topic}/${partition}`)));
}

/** Mirrors, then the views that hang on them. Exported for isolating the event that fails. */
export async function applyChanges(client: Database, model: ModelSchema, batches: readonly PartitionBatch[]): Promise<void> {
  const written = batches.filter(({ changes }) => changes.length > 0);
  if (written.length === 0) return;
  const byMirror = [...Map.groupBy(written, ({ mirror }) => mirror)].toSorted(([a], [b]) => (a.table < b.table ? -1 : 1));
  const tables: { readonly mirror: Mirror; readonly changes: TableChanges; readonly keys: string }[] = [];
  const truncatedBefore = await lockMirrors(client, written);
  for (const [mirror, parts] of byMirror) {
    const changes = collapse(parts, truncatedBefore.get(mirror.table) ?? null);
    tables.push({ mirror, changes, keys: firstKeyCells(mirror, changes) });
  }
  const touched: (readonly string[])[] = [];
  for (const projection of model.projections) touched.push(await touchedKeys(client, projection, tables));
  for (const { mirror, changes } of tables) await writeMirror(client, mirror, changes);
  for (const [index, projection] of model.projections.entries()) {
    if (!tables.some(({ mirror }) => projection.touchedBy[mirror.table] !== undefined)) continue;
    // Two transactions that touch one view row must not each miss what the other has not committed yet. The lock is held until
    // commit, and each statement after it sees all that was committed before: so the last one to project a row sees all it hangs on.
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`read-model ${model.schema}.${projection.name}`]);
    const keys = new Set([...(touched[index] ?? []), ...(await touchedKeys(client, projection, tables))]);
    if (keys.size === 0) continue;
    const parameter = arrayLiteral([...keys]);
    for (const statement of projection.recompute) await client.query(statement, [parameter]);
  }
}

/**
 * A truncate in one partition and a row in another must see each other: whoever truncates waits for who writes, and the other way round.
 * Gives the log position of each table's last truncate.
 */
async function lockMirrors(client: Database, batches: readonly PartitionBatch[]): Promise<ReadonlyMap<string, bigint>> {
  const truncates = batches.some(({ changes }) => changes.some(({ kind }) => kind === 'truncate'));
  const rows = await queryText(
    client,
    `SELECT mirror_table, truncated_lsn FROM mirrored_tables WHERE mirror_table = ANY ($1::name[]) ORDER BY mirror_table
        FOR ${truncates ? 'UPDATE' : 'SHARE'}`,
    [[...new Set(batches.map(({ mirror }) => mirror.table))]],
  );
  return new Map(rows.flatMap((row) => (row[1] === null ? [] : [[text(row, 0), BigInt(text(row, 1))] as const])));
}

async function touchedKeys(
  client: Database,
  projection: Projection,
  tables: readonly { readonly mirror: Mirror; readonly changes: TableChanges; readonly keys: string }[],
): Promise<readonly string[]> {
  const touched: string[] = [];
  for (const { mirror, changes, keys } of tables) {
    const query = projection.touchedBy[mirror.table];
    if (query === undefined) continue;
    const rows = changes.truncate === null ? await queryText(client, query, [keys]) : await queryText(client, projection.allKeys);
    for (const row of rows) touched.push(text(row, 0));
  }
  return touched;
}

/** The keys of the rows that change, as an array parameter: the first column of each key. */
function firstKeyCells(mirror: Mirror, { rows }: TableChanges): string {
  const [keyIndex] = mirror.key;
  const cells: (string | null)[] = [];
  for (const { deletes, upsert } of rows.values()) cells.push((deletes === null ? upsert?.cells[keyIndex ?? 0] : deletes[0]) ?? null);
  return arrayLiteral(cells);
}

/** Last of all, so that `applied_at` is as near to the commit as it can be. */
async function logBatches(client: Database, batches: readonly PartitionBatch[]): Promise<void> {
  const logged = batches.filter(({ changes }) => changes.length > 0);
  if (logged.length === 0) return;
  await client.query(
    `INSERT INTO apply_log (topic, partition, first_offset, next_offset, events, applied_at)
     SELECT b.*, clock_timestamp() FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::integer[]) AS b`,
    [
      logged.map(({ topic }) => topic),
      logged.map(({ partition }) => partition),
      logged.map(({ expectedOffset, changes }) => String(changes[0]?.offset ?? expectedOffset)),
      logged.map(({ nextOffset }) => String(nextOffset)),
      logged.map(({ changes }) => changes.length),
    ],
  );
}
