import type { KafkaAdmin, PartitionOffsets } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { inTransaction, queryText, qualified, text, type Database } from './database.ts';
import { fingerprint } from './projections.ts';

export type TopicPartition = { readonly topic: string; readonly partition: number };

/** How far a partition is applied, and the epoch in which its holder may move it. */
export type Position = TopicPartition & { readonly nextOffset: bigint; readonly epoch: bigint };

/** {@link Position} with the time of its last move, as Postgres prints it. */
export type AppliedOffset = TopicPartition & { readonly nextOffset: bigint; readonly updatedAt: string };

/**
 * How far the model in `schema` has applied each partition: every event below `nextOffset` is in its tables. One statement, so a
 * consistent picture.
 */
export async function appliedOffsets(database: Database, schema: string): Promise<readonly AppliedOffset[]> {
  const rows = await queryText(
    database,
    `SELECT topic, partition, next_offset, updated_at FROM ${qualified(schema, 'applied_offsets')} ORDER BY topic, partition`,
  );
  return rows.map((row) => ({ topic: text(row, 0), partition: Number(row[1]), nextOffset: BigInt(text(row, 2)), updatedAt: text(row, 3) }));
}

/**
 * Takes partitions over: whoever held them before can write no more. A partition that the model does not know starts at what Kafka still
 * has. Each version of a model has epochs of its own, so that what was meant for one is never applied to another.
 *
 * @throws CdcError READ_MODEL_EVENTS_LOST when Kafka has deleted what was not applied, READ_MODEL_TOPIC_REPLACED when it ends before that,
 *   READ_MODEL_PROJECTIONS_CHANGED when the version that serves now was made by another program's projections
 */
export async function claimPartitions(
  pool: Pool,
  schema: string,
  admin: KafkaAdmin,
  partitions: readonly TopicPartition[],
): Promise<readonly Position[]> {
  const before = await offsetsOf(admin, partitions);
  const rows = await inTransaction(pool, schema, async (client) => {
    // Before the look at the version: a switch to another one waits for this transaction, or this one for it.
    await client.query('LOCK TABLE applied_offsets IN ROW EXCLUSIVE MODE');
    await requireProjections(client, schema);
    return queryText(
      client,
      `INSERT INTO applied_offsets AS known (topic, partition, next_offset, epoch)
       SELECT topic, partition, low, (SELECT version FROM model_version) * 4294967296 + 1 FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS claimed (topic, partition, low)
        ORDER BY topic, partition
       ON CONFLICT (topic, partition) DO UPDATE SET epoch = known.epoch + 1
       RETURNING topic, partition, next_offset, epoch`,
      [
        partitions.map(({ topic }) => topic),
        partitions.map(({ partition }) => partition),
        partitions.map((place) => String(find(before, place)?.low ?? 0n)),
      ],
    );
  });
  const positions = rows.map((row) => ({
    topic: text(row, 0),
    partition: Number(row[1]),
    nextOffset: BigInt(text(row, 2)),
    epoch: BigInt(text(row, 3)),
  }));
  // Another holder may have moved on since `before` was read, so the end is read again.
  const after = await offsetsOf(admin, partitions);
  for (const position of positions) {
    refuseGap(position, position.nextOffset, find(before, position)?.low ?? 0n);
    const end = find(after, position)?.high ?? 0n;
    if (position.nextOffset > end) {
      throw new CdcError(
        'READ_MODEL_TOPIC_REPLACED',
        `topic ${position.topic}, partition ${position.partition} ends at offset ${end}, but offset ${position.nextOffset} is applied`,
      );
    }
  }
  return positions;
}

/** @throws CdcError READ_MODEL_PROJECTIONS_CHANGED when the views of `schema` were made by other projections than this program's */
export async function requireProjections(database: Database, schema: string): Promise<void> {
  const [row] = await queryText(database, `SELECT projections, version FROM ${qualified(schema, 'model_version')}`);
  if (row?.[0] === fingerprint()) return;
  throw new CdcError(
    'READ_MODEL_PROJECTIONS_CHANGED',
    `the views of read model ${schema}, version ${row?.[1] ?? 'unknown'}, were made by other projections than this program's`,
  );
}

/**
 * Offsets may have holes that are no loss: control records, aborted transactions, compaction. What tells a loss is that the partition
 * now begins past the offset that was to be applied next.
 *
 * @throws CdcError READ_MODEL_EVENTS_LOST naming topic, partition and both offsets
 */
export async function requireNothingLost(admin: KafkaAdmin, place: TopicPartition, expected: bigint): Promise<void> {
  refuseGap(place, expected, find(await offsetsOf(admin, [place]), place)?.low ?? 0n);
}

function refuseGap({ topic, partition }: TopicPartition, expected: bigint, low: bigint): void {
  if (low <= expected) return;
  throw new CdcError(
    'READ_MODEL_EVENTS_LOST',
    `topic ${topic}, partition ${partition}: offset ${expected} is to be applied next, but Kafka now begins at offset ${low}`,
  );
}

async function offsetsOf(admin: KafkaAdmin, partitions: readonly TopicPartition[]): Promise<Map<string, readonly PartitionOffsets[]>> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  const offsets = await Promise.all(topics.map((topic) => admin.offsetsOf(topic)));
  return new Map(topics.map((topic, index) => [topic, offsets[index] ?? []]));
}

function find(offsets: Map<string, readonly PartitionOffsets[]>, { topic, partition }: TopicPartition): PartitionOffsets | undefined {
  return offsets.get(topic)?.find((candidate) => candidate.partition === partition);
}
