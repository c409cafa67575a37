import type { Pool } from 'pg';
import { CdcError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { inTransaction, openPool, queryText, text } from '../database.ts';
import { requireMigrated } from '../migrate.ts';
import { readDatabaseConfig, requireModel, requireReadModel } from '../model-config.ts';
import { readModelWording, type Wording } from './wording.ts';

export type SkipRange = {
  readonly topic: string;
  readonly partition: number;
  /** The first offset that is passed over, and the one behind the last. */
  readonly offset: bigint;
  readonly nextOffset: bigint;
};

/** What may be passed over: nobody can read it. Events that can be read are parked, and decided on one by one. */
const codes: readonly string[] = ['KAFKA_BATCH_TOO_LARGE', 'KAFKA_BATCH_UNREADABLE'];

/**
 * Skips a batch of records at which a partition of the model halts, and nothing else. It stays listed (`cdc read-model parked list
 * --all`) as discarded. A read model that runs goes on behind it by itself.
 *
 * @throws CdcError READ_MODEL_SKIP_REFUSED when the partition does not halt there
 */
export async function skipUnreadable(config: PipelineConfig, schema: string, range: SkipRange, logger: Logger): Promise<void> {
  const readModel = requireReadModel(config);
  requireModel(readModel, schema);
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  try {
    await requireMigrated(pool, schema);
    await skipRange(pool, schema, range, readModelWording);
  } finally {
    await pool.end();
  }
}

/** {@link skipUnreadable} of any user of the engine. */
export async function skipRange(pool: Pool, schema: string, range: SkipRange, wording: Wording): Promise<void> {
  const { topic, partition, offset, nextOffset } = range;
  await inTransaction(pool, schema, async (client) => {
    const [row] = await queryText(
      client,
      `SELECT a.next_offset, h.code, h.cause, h.remedy
         FROM applied_offsets a JOIN halted_partitions h USING (topic, partition)
        WHERE topic = $1 AND partition = $2 AND h.event_offset = $3 AND a.next_offset <= h.event_offset AND h.code = ANY ($4::text[])
          FOR UPDATE OF a`,
      [topic, partition, String(offset), codes],
    );
    // Its remedy names what may be passed over.
    if (row === undefined || !text(row, 3).endsWith(wording.skip(schema, range))) throw refused(schema, range);
    // A new epoch: whoever holds the partition finds that it was moved.
    await client.query('UPDATE applied_offsets SET next_offset = $3, epoch = epoch + 1 WHERE topic = $1 AND partition = $2', [
      topic,
      partition,
      String(nextOffset),
    ]);
    await client.query(
      `INSERT INTO parked_events (topic, partition, event_offset, queue, headers, state, code, cause, resolved_at)
       VALUES ($1, $2, $3, 'unreadable', '{}', 'discarded', $4, $5, clock_timestamp())
       ON CONFLICT (topic, partition, event_offset) DO NOTHING`,
      [topic, partition, String(offset), text(row, 1), text(row, 2)],
    );
  });
}

function refused(schema: string, { topic, partition, offset, nextOffset }: SkipRange): CdcError {
  return new CdcError(
    'READ_MODEL_SKIP_REFUSED',
    `read model ${schema} does not halt at an unreadable batch of topic ${topic}, partition ${partition}, from offset ${offset} to before ${nextOffset}`,
  );
}
