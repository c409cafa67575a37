import type { PartitionBatch } from './partition-batch.ts';
import type { Pool } from 'pg';
import { applyOrPark } from './apply-or-park.ts';
import type { TargetModel } from './write-changes.ts';
import { inTransaction, type Database } from '../database.ts';
import { movePositions } from './positions.ts';
import type { Parking } from '../parking/parked-events.ts';
import { refuseHalted } from '../faults/halts.ts';

/**
 * Applies batches of different partitions in one transaction: positions by compare-and-set, mirrors, views, parked events, apply log. All
 * or nothing. With `parkFailing` the events that cannot be applied are found and parked; without it the first one fails the whole.
 *
 * @throws HaltedTableError when the table of a batch halts elsewhere, StalePositionError when a batch's position is not the stored one, StaleMirrorError when a mirror has other columns by now,
 *   CdcError READ_MODEL_PARKED_FULL
 */
export async function commitBatches(
  pool: Pool,
  model: TargetModel,
  batches: readonly PartitionBatch[],
  { parkFailing = false }: { readonly parkFailing?: boolean } = {},
): Promise<void> {
  await inTransaction(pool, model.schema, async (client) => {
    if (model.haltsWholeTables === true) await refuseHalted(client, batches);
    await movePositions(client, batches);
    const parked = await applyOrPark(client, model, batches, parkFailing);
    await logBatches(client, batches, parked);
  });
}

/** Last of all, so that `applied_at` is as near to the commit as it can be. */
async function logBatches(client: Database, batches: readonly PartitionBatch[], parked: readonly Parking[]): Promise<void> {
  const logged = batches.filter(({ messages }) => messages.length > 0);
  if (logged.length === 0) return;
  const parkedOf = ({ topic, partition }: PartitionBatch): number =>
    parked.filter((event) => event.topic === topic && event.partition === partition).length;
  await client.query(
    `INSERT INTO apply_log (topic, partition, first_offset, next_offset, events, parked, applied_at)
     SELECT b.*, clock_timestamp() FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::integer[], $6::integer[]) AS b`,
    [
      logged.map(({ topic }) => topic),
      logged.map(({ partition }) => partition),
      logged.map(({ expectedOffset, messages }) => String(messages[0]?.offset ?? expectedOffset)),
      logged.map(({ nextOffset }) => String(nextOffset)),
      logged.map((batch) => batch.messages.length - parkedOf(batch)),
      logged.map(parkedOf),
    ],
  );
}
