import type { TopicPartition } from '#kafka/port.ts';
import type { KafkaAdmin, PartitionOffsets } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { inTransaction, queryText, qualified, text, type Database } from '../database.ts';
import type { CutPartition } from '../consume/beginnings.ts';
import { readModelWording, type Wording } from '../faults/wording.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';
import type { PositionMove } from './partition-batch.ts';

export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** How far a partition is applied, and the epoch in which its holder may move it. */
export type Position = TopicPartition & {
  readonly nextOffset: bigint;
  readonly epoch: bigint;
  /** Kafka's id of the topic; null where the broker has none. */
  readonly topicId: string | null;
};

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

/** Partitions that were taken over, and those of which nothing may be applied. */
export type Claimed = {
  readonly positions: readonly Position[];
  readonly refused: readonly Mismatch[];
  /** Begun by this claim, past what Kafka has deleted. */
  readonly cut: readonly CutPartition[];
};

/**
 * Takes partitions over: whoever held them before can write no more. A partition that the model does not know starts at what Kafka still
 * has. Each version of a model has epochs of its own, so that what was meant for one is never applied to another.
 *
 * Refused are the partitions of which Kafka has deleted what was not applied (READ_MODEL_EVENTS_LOST), and those whose topic is another one
 * than their position was taken from, or ends before it (READ_MODEL_TOPIC_REPLACED).
 *
 * @param fingerprint of the projections that the caller keeps views by
 * @param wording of what is refused
 * @throws CdcError READ_MODEL_PROJECTIONS_CHANGED when the version that serves now has others
 */
export async function claimPartitions(
  pool: Pool,
  schema: string,
  admin: KafkaAdmin,
  partitions: readonly TopicPartition[],
  fingerprint: string,
  wording: Wording = readModelWording,
): Promise<Claimed> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  // Before the offsets: one of a topic that was made again in between is never stored beside the id of a later one.
  const ids = await admin.topicIds(topics);
  const before = await offsetsOf(admin, partitions);
  const rows = await inTransaction(pool, schema, async (client) => {
    // Before the look at the version: a switch to another one waits for this transaction, or this one for it.
    await client.query('LOCK TABLE applied_offsets IN ROW EXCLUSIVE MODE');
    await requireProjections(client, schema, fingerprint);
    return queryText(
      client,
      `INSERT INTO applied_offsets AS known (topic, partition, next_offset, epoch, topic_id)
       SELECT topic, partition, low, (SELECT version FROM model_version) * 4294967296 + 1, id
         FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[]) AS claimed (topic, partition, low, id)
        ORDER BY topic, partition
       ON CONFLICT (topic, partition) DO UPDATE SET epoch = known.epoch + 1, topic_id = coalesce(known.topic_id, EXCLUDED.topic_id)
       RETURNING topic, partition, next_offset, epoch, topic_id, xmax = 0 AS is_new`,
      [
        partitions.map(({ topic }) => topic),
        partitions.map(({ partition }) => partition),
        partitions.map((place) => String(find(before, place)?.low ?? 0n)),
        partitions.map(({ topic }) => ids.get(topic) ?? null),
      ],
    );
  });
  const positions = rows.map((row) => ({
    topic: text(row, 0),
    partition: Number(row[1]),
    nextOffset: BigInt(text(row, 2)),
    epoch: BigInt(text(row, 3)),
    topicId: row[4] ?? null,
  }));
  const cut = rows.flatMap((row) =>
    row[5] === 't' && row[2] !== '0' ? [{ topic: text(row, 0), partition: Number(row[1]), low: BigInt(text(row, 2)) }] : [],
  );
  // Another holder may have moved on since `before` was read, so the end is read again.
  const after = await offsetsOf(admin, partitions);
  const refused = positions.flatMap((position) => {
    const { topic, partition, nextOffset, topicId } = position;
    const error =
      otherTopic(wording, schema, position, topicId, ids.get(topic) ?? null) ??
      endsBefore(wording, schema, position, nextOffset, find(after, position)?.high ?? 0n) ??
      gap(wording, schema, position, nextOffset, find(before, position)?.low ?? 0n);
    return error === null ? [] : [{ topic, partition, offset: nextOffset, error }];
  });
  const isRefused = ({ topic, partition }: TopicPartition): boolean =>
    refused.some((one) => one.topic === topic && one.partition === partition);
  return { positions: positions.filter((position) => !isRefused(position)), refused, cut };
}

function otherTopic(
  { replaced }: Wording,
  schema: string,
  place: TopicPartition,
  known: string | null,
  now: string | null,
): CdcError | null {
  if (known === null || now === null || known === now) return null;
  return replaced(
    schema,
    place,
    `topic ${place.topic}, partition ${place.partition} is another one than the stored position was taken from: its id is ${now}, not ${known}`,
  );
}

function endsBefore({ replaced }: Wording, schema: string, place: TopicPartition, applied: bigint, end: bigint): CdcError | null {
  if (applied <= end) return null;
  return replaced(
    schema,
    place,
    `topic ${place.topic}, partition ${place.partition} ends at offset ${end}, but offset ${applied} is applied`,
  );
}

/** @throws CdcError READ_MODEL_PROJECTIONS_CHANGED when the version that serves now has other projections than those that the caller keeps its views by */
async function requireProjections(database: Database, schema: string, known: string): Promise<void> {
  const [row] = await queryText(database, `SELECT projections, version FROM ${qualified(schema, 'model_version')}`);
  if (row?.[0] === known) return;
  throw new CdcError(
    'READ_MODEL_PROJECTIONS_CHANGED',
    `read model ${schema}, version ${row?.[1] ?? 'unknown'}, has other projections by now`,
  );
}

/**
 * Offsets may have holes that are no loss: control records, aborted transactions, compaction. It is a loss when the partition
 * now begins past the offset that was to be applied next.
 *
 * @throws CdcError READ_MODEL_EVENTS_LOST naming topic, partition and both offsets
 */
export async function requireNothingLost(
  admin: KafkaAdmin,
  schema: string,
  place: TopicPartition,
  expected: bigint,
  wording: Wording = readModelWording,
): Promise<void> {
  const error = gap(wording, schema, place, expected, find(await offsetsOf(admin, [place]), place)?.low ?? 0n);
  if (error !== null) throw error;
}

function gap({ lost }: Wording, schema: string, place: TopicPartition, expected: bigint, low: bigint): CdcError | null {
  if (low <= expected) return null;
  return lost(
    schema,
    place,
    `topic ${place.topic}, partition ${place.partition}: offset ${expected} is to be applied next, but Kafka now begins at offset ${low}`,
    low,
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

/** Somebody else has moved (or taken) these partitions: nothing of the transaction was applied. */
export class StalePositionError extends Error {
  override readonly name = 'StalePositionError';
  readonly stale: readonly PositionMove[];

  constructor(stale: readonly PositionMove[]) {
    super(`stale position of ${stale.map(({ topic, partition }) => `${topic}/${partition}`).join(', ')}`);
    this.stale = stale;
  }
}

/**
 * Moves positions by compare-and-set, inside the caller's transaction. Names tables without schema: runs inside `inTransaction`.
 *
 * @throws StalePositionError
 */
export async function movePositions(client: Database, batches: readonly PositionMove[]): Promise<void> {
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
